"""Contours of one study: what a segmenter draws, what a person changes in it, and the figures that follow.

>>> from cardiolens.contours import segment_study
>>> result = segment_study(study, segmenter)                       # doctest: +SKIP
>>> result.measures.lvef_pct, [str(flag) for flag in result.measures.flags]    # doctest: +SKIP
"""

from cardiolens.contours.study import Change, Correction, SegmenterLike, SegmentResult, read_correction, segment_study

__all__ = ["Change", "Correction", "SegmentResult", "SegmenterLike", "read_correction", "segment_study"]
