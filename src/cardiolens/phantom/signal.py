"""Moved to `cardiolens.phantom.mr`."""

from cardiolens.phantom.mr import Contrast, Image, look_up, texture_volume

__all__ = ["Contrast", "Image", "look_up", "texture_volume"]
