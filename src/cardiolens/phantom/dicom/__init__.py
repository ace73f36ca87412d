"""A phantom study as MR DICOM files, laid out as one of several archives would."""

from cardiolens.phantom.dicom.styles import STYLES
from cardiolens.phantom.dicom.writer import write_dicom

__all__ = ["STYLES", "write_dicom"]
