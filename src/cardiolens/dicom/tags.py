"""Values of DICOM elements, read from their raw bytes so that a broken value is None instead of an error or a warning.

Public headers hold dates such as `20120000`, UIDs with a leading zero and numbers with a comma; a typed parser stops at
them, while a reader of cines only needs the ones it understands.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from typing import Any

import pydicom.charset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_TIME = re.compile(r"(\d{2}):?(\d{2}):?(\d{2})?(\.\d+)?")

Tag = str | tuple[int, int]


@dataclass(frozen=True)
class Tags:
    """A data set or a sequence item.  `tag` arguments are keywords, or (group, element) for private ones."""

    dataset: Dataset

    def texts(self, tag: Tag) -> tuple[str, ...]:
        """All values as text, stripped; () when absent or empty."""
        value, _ = self._raw(tag)
        if value is None:
            return ()
        if isinstance(value, bytes):
            value = self._decode(value)
        if isinstance(value, str):
            value = value.split("\\")
        if not isinstance(value, list | tuple) and type(value).__name__ != "MultiValue":
            value = [value]
        texts = tuple(str(item).strip(" \0\r\n\t") for item in value)
        return texts if any(texts) else ()

    def text(self, tag: Tag) -> str:
        """The value as one text, parts joined with a backslash; "" when absent."""
        return "\\".join(self.texts(tag))

    def numbers(self, tag: Tag) -> tuple[float, ...] | None:
        """All values as finite numbers, or None when absent or any of them is not a number."""
        value, binary = self._raw(tag)
        if isinstance(value, bytes) and binary:
            order, code = binary[0], binary[1]
            size = struct.calcsize(code)
            if not value or len(value) % size:
                return None
            numbers = tuple(float(n) for n in struct.unpack(f"{order}{len(value) // size}{code}", value))
        else:
            try:
                numbers = tuple(float(text) for text in self.texts(tag))
            except ValueError:
                return None
        return numbers if numbers and all(map(math.isfinite, numbers)) else None

    def number(self, tag: Tag) -> float | None:
        """The first value as a finite number, or None."""
        numbers = self.numbers(tag)
        return numbers[0] if numbers else None

    def integer(self, tag: Tag) -> int | None:
        number = self.number(tag)
        return None if number is None else int(number)

    def seconds(self, tag: Tag) -> float | None:
        """A TM or DT value as seconds after midnight, or None."""
        text = self.text(tag)
        if len(text) >= 14 and text[:14].isdigit():  # DT: date first
            text = text[8:]
        match = _TIME.match(text)
        if not match:
            return None
        hours, minutes, seconds, fraction = match.groups()
        return int(hours) * 3600.0 + int(minutes) * 60 + int(seconds or 0) + float(fraction or 0)

    def items(self, tag: Tag) -> list[Tags]:
        """Items of a sequence; [] when absent."""
        key = _key(tag)
        if key not in self.dataset:
            return []
        value = self.dataset[key].value
        return [Tags(item) for item in value] if isinstance(value, pydicom.Sequence) else []

    def _raw(self, tag: Tag) -> tuple[Any, str | None]:
        """The stored value and, for binary representations, the struct format of one number."""
        key = _key(tag)
        if key not in self.dataset:
            return None, None
        element = self.dataset.get_item(key)
        if not isinstance(element, RawDataElement):
            return (None if element is None else element.value), None
        vr = element.VR
        if vr in (None, "UN"):
            try:
                vr = dictionary_VR(key)
            except KeyError:
                vr = None
        code = _BINARY.get((vr or "")[:2])
        return element.value, f"{'<' if element.is_little_endian else '>'}{code}" if code else None

    def _decode(self, value: bytes) -> str:
        try:
            return value.decode("ascii")
        except UnicodeDecodeError:
            pass
        declared = self.texts("SpecificCharacterSet") if _key("SpecificCharacterSet") in self.dataset else ()
        try:
            encodings = pydicom.charset.convert_encodings(list(declared) or "ISO_IR 6")
            return pydicom.charset.decode_bytes(value, encodings, set())
        except (LookupError, UnicodeError, ValueError):
            return value.decode("latin-1")


def _key(tag: Tag) -> Any:
    if not isinstance(tag, str):
        return tag
    number = tag_for_keyword(tag)
    if number is None:
        raise KeyError(f"{tag} is not a DICOM keyword")
    return number
