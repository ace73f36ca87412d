"""The signal of one plane before it is scanned: the still thorax, the beating heart over it, what disease adds."""

from cardiolens.phantom.painting.picture import Box, Picture, Scene, picture_of
from cardiolens.phantom.painting.thorax import Thorax

__all__ = ["Box", "Picture", "Scene", "Thorax", "picture_of"]
