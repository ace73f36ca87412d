"""A small DICOMweb server on loopback that can also misbehave."""

from __future__ import annotations

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pydicom

BOUNDARY = "a-boundary"


class FakeArchive:
    """Answers QIDO and WADO for some data sets.

    Attributes:
        asked: paths of the requests so far.
        login: what Authorization must hold, None for anybody.
        busy: how many requests are answered 503 first.
        break_after: images after which a stream breaks off, once.
        lies: SOPInstanceUIDs that are listed, and whose images cannot be had.
        body: what is sent in place of every answer.
    """

    def __init__(self, sets) -> None:
        self.sets = list(sets)
        self.asked: list[str] = []
        self.login: str | None = None
        self.busy = 0
        self.break_after: int | None = None
        self.lies: list[str] = []
        self.body: bytes | None = None
        archive = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def log_message(self, *_) -> None:
                pass

            def do_GET(self) -> None:
                archive.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/dicom-web"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        url = urlsplit(request.path)
        self.asked.append(url.path.removeprefix("/dicom-web"))
        if self.login and request.headers.get("Authorization") != self.login:
            return self._send(request, b"", status=401)
        if self.busy:
            self.busy -= 1
            return self._send(request, b"", status=503)
        if self.body is not None:
            return self._send(request, self.body)
        if not url.path.startswith("/dicom-web/studies"):
            return self._send(request, b"", status=404)
        return self._route(request, url.path.split("/")[3:], parse_qs(url.query))

    def _route(self, request, parts: list[str], query: dict[str, list[str]]) -> None:
        """parts: [study, "series", series, "instances", instance] as far as they are given."""
        given = dict(zip(("StudyInstanceUID", "", "SeriesInstanceUID", "", "SOPInstanceUID"), parts, strict=False))
        for name in ("StudyInstanceUID", "PatientID", "Modality"):
            if name in query:
                given[name] = query[name][0]
        mine = [one for one in self.sets if all(str(one.get(k)) == v for k, v in given.items() if k and k in one)]
        if int(query.get("offset", ["0"])[0]):
            return self._json(request, [])
        if parts and parts[-1] == "metadata":
            return self._json(request, [_header(one) for one in mine])
        if len(parts) in (3, 5):
            return self._images(request, mine)
        level = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")[len(parts) // 2]
        rows = {str(one[level].value): _row(one, mine) for one in mine}
        listed = list(rows.values())
        if level == "SOPInstanceUID" and listed:
            listed += [listed[0] | {"00080018": {"vr": "UI", "Value": [uid]}} for uid in self.lies]
        return self._json(request, listed)

    def _images(self, request, mine) -> None:
        if not mine:
            return self._send(request, b"", status=404)
        parts = [_file(one) for one in mine]
        cut = self.break_after if self.break_after and len(parts) > self.break_after else None
        body = b"".join(
            f"\r\n--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + part for part in parts[:cut]
        )
        self.break_after = None if cut is not None else self.break_after
        end = b"" if cut is not None else f"\r\n--{BOUNDARY}--\r\n".encode()
        length = len(body) + len(end) + (1000 if cut is not None else 0)  # promises more than comes
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        return self._send(request, body + end, kind=kind, length=length)

    def _json(self, request, rows) -> None:
        self._send(request, json.dumps(rows).encode(), kind="application/dicom+json")

    def _send(self, request, body: bytes, *, status: int = 200, kind: str = "text/html", length: int | None = None):
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        request.end_headers()
        request.wfile.write(body)


def _row(one, mine) -> dict:
    of_series = [other for other in mine if other.SeriesInstanceUID == one.SeriesInstanceUID]
    row = pydicom.Dataset()
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Modality", "SeriesDescription"):
        if name in one:
            setattr(row, name, one[name].value)
    row.NumberOfSeriesRelatedInstances = len(of_series)
    return row.to_json_dict(suppress_invalid_tags=True)


def _header(one) -> dict:
    bare = pydicom.Dataset({tag: one[tag] for tag in one.keys() if tag != 0x7FE00010})  # noqa: SIM118 - a Dataset
    return bare.to_json_dict(suppress_invalid_tags=True)


def _file(one) -> bytes:
    buffer = io.BytesIO()
    one.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
