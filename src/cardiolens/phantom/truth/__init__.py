"""What is true of a heart: its figures, its curves over the beat, its masks and landmarks on an image's geometry."""

from cardiolens.phantom.truth.curves import Curves, curves_of
from cardiolens.phantom.truth.figures import Truth, truth_of, wall_by_segment
from cardiolens.phantom.truth.on_images import MASK_LABELS, landmarks, masks

__all__ = ["MASK_LABELS", "Curves", "Truth", "curves_of", "landmarks", "masks", "truth_of", "wall_by_segment"]
