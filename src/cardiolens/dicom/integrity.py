"""Is a DICOM file whole?  Decided from headers and the file's length, without decoding a pixel."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import pydicom

MAX_INFLATED = 4 * 2**30
_NATIVE = {
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "",
}
_DEFLATED = "1.2.840.10008.1.2.1.99"
_ITEM, _DELIMITER = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)


class DamagedFile(Exception):  # noqa: N818 - internal: becomes a note on the study, never leaves this package
    """A file that cannot be used, with the reason."""


def check_deflated(stream: BinaryIO) -> None:
    """Inflate a deflated data set in bounded steps.

    Raises:
        DamagedFile: it ends early, is corrupt, or inflates beyond 4 GiB (a decompression bomb).
    """
    stream.seek(132)
    head = stream.read(12)
    if len(head) < 12:
        raise DamagedFile("the header ends early")
    stream.seek(144 + struct.unpack("<I", head[8:12])[0])
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    try:
        while not inflater.eof:
            chunk = inflater.unconsumed_tail or stream.read(1 << 20)
            if not chunk:
                raise DamagedFile("the deflated data end early")
            total += len(inflater.decompress(chunk, 1 << 22))
            if total > MAX_INFLATED:
                raise DamagedFile("it inflates to more than 4 GiB")
    except zlib.error as error:
        raise DamagedFile(f"the deflated data are corrupt ({error})") from error


def check_pixel_data(
    stream: BinaryIO, size: int, dataset: pydicom.FileDataset, syntax: str, expected: int, photometric: str
) -> None:
    """Check that the pixel data element at the stream's position is whole.

    Args:
        stream: where `dcmread(stop_before_pixels=True)` left it.
        size: of the file in bytes.
        dataset: what was read before the pixels.
        syntax: transfer syntax UID; "" when the file does not say.
        expected: bytes that an uncompressed image needs by its header.
        photometric: PhotometricInterpretation.

    Raises:
        DamagedFile: no pixel data, or fewer bytes than promised.
    """
    if syntax == _DEFLATED:  # inflated whole by check_deflated
        return
    implicit, little = dataset.original_encoding
    start = stream.tell()
    head = stream.read(12)
    order = "<" if little or little is None else ">"
    if len(head) < 8 or struct.unpack(f"{order}H", head[:2])[0] != 0x7FE0:
        raise DamagedFile("no pixel data (the file ends early)")
    offset, length = (8, head[4:8]) if implicit else (12, head[8:12])
    if len(length) < 4:
        raise DamagedFile("no pixel data (the file ends early)")
    declared = struct.unpack(f"{order}I", length)[0]
    begin = start + offset
    if declared == 0xFFFFFFFF:
        _walk_items(stream, begin, size)
        return
    if begin + declared > size:
        raise DamagedFile(f"truncated: {size - begin} of {declared} bytes of pixel data")
    needed = expected * 2 // 3 if photometric == "YBR_FULL_422" else expected
    if syntax in _NATIVE and declared < needed:
        raise DamagedFile(f"truncated: {declared} bytes of pixel data where the header asks for {needed}")


def _walk_items(stream: BinaryIO, position: int, size: int) -> None:
    """Step over the fragments of encapsulated pixel data up to the closing delimiter."""
    while True:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            raise DamagedFile("truncated: compressed pixel data end without their delimiter")
        group, element, length = struct.unpack("<HHI", head)
        if (group, element) == _DELIMITER:
            return
        if (group, element) != _ITEM or position + 8 + length > size:
            raise DamagedFile("truncated or corrupt fragments of compressed pixel data")
        position += 8 + length
