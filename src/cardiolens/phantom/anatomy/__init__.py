"""The beating heart as closed surfaces: where every part of it lies at every moment, and the planes that cut it."""

from cardiolens.phantom.anatomy.planes import HeartFrame, heart_frame
from cardiolens.phantom.anatomy.whole_heart import Anatomy, Tables, anatomy_of

__all__ = ["Anatomy", "HeartFrame", "Tables", "anatomy_of", "heart_frame"]
