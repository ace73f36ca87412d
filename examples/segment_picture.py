"""The picture of docs/how-to/segment.md: a simulated heart at end-diastole, every short-axis plane with its contours.

python examples/segment_picture.py docs/images/segment_contours.webp
python examples/segment_picture.py docs/images/segment_contours.webp --truth    # its true contours, without a model
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from cardiolens.contours import segment_study
from cardiolens.contours.lines import contour_pictures
from cardiolens.phantom import HeartParameters, masks, render_study
from cardiolens.segmentation import Segmentation
from cardiolens.segmenter import load_segmenter
from cardiolens.study import Study, View

HEART = HeartParameters()


def truth(
    study: Study, views: Sequence[View] | None = None, *, progress: Callable[[int, int], None] | None = None
) -> tuple[Segmentation, ...]:
    """What the simulated heart knows of itself."""
    cines = [cine for cine in study.cines if views is None or cine.view in views]
    return tuple(Segmentation(cine, masks(HEART, cine), source="phantom") for cine in cines)


def main() -> None:
    """Render, draw, write."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("picture", type=Path)
    arguments.add_argument("--truth", action="store_true", help="the heart's own masks in place of the model's")
    given = arguments.parse_args()
    study = render_study(HEART, seed=1, matrix=160, sax_planes=10, phases=12, views=(View.SAX,))
    result = segment_study(study, truth if given.truth else load_segmenter())
    (drawn,) = result.segmentations
    picture = contour_pictures(drawn, [result.measures.ed_phase or 0])[0]
    Image.fromarray(picture).save(given.picture, "WEBP", quality=82)
    print(f"{given.picture}: LVEF {result.measures.lvef_pct:.0f} %, {[str(flag) for flag in result.measures.flags]}")


if __name__ == "__main__":
    main()
