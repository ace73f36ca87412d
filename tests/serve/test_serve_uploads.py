"""Uploads: what is refused and why, that nothing is left behind, and a real study that comes in under pseudonyms."""

import errno
import shutil
import stat
import zipfile
from collections import namedtuple
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from served import desk_of, done, packed, zipped

from cardiolens.errors import CheckpointError
from cardiolens.serve import Settings, UploadLimits, uploads
from cardiolens.serve.desk import Desk
from cardiolens.serve.jobs import Stopped
from cardiolens.store import StudyStore
from cardiolens.store.atomic import DiskError
from drawn_phantom import phantom

ZIP = {"Content-Type": "application/zip"}


def link(name, mode=stat.S_IFLNK | 0o777):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def renamed(name):
    """An archive whose member has a name that Python would not write."""
    return packed(("x" * len(name), b"data")).replace(b"x" * len(name), name.encode())


def encrypted():
    content = bytearray(packed(("a.dcm", b"data")))
    for start in (content.find(b"PK\x03\x04") + 6, content.find(b"PK\x01\x02") + 8):
        content[start] |= 1
    return bytes(content)


def lzma():
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.dcm", b"data")
    return buffer.getvalue()


REFUSED = [
    ("lzma", lzma(), 400, "ordinary zip"),
    ("names", packed(*((f"{'long' * 100}{i}.dcm", b"") for i in range(40))), 413, "too many files or too long names"),
    ("no zip", b"this is no archive", 415, "not a zip archive"),
    ("empty", b"", 415, "not a zip archive"),
    ("torn", packed(("a.dcm", bytes(5000)))[:-30], 415, "damaged"),
    ("no file", packed(("folder/", b"")), 422, ""),
    ("up", renamed("../../../etc/cron.d/x"), 400, "leads out"),
    ("in the middle", renamed("a/../../b"), 400, "leads out"),
    ("absolute", renamed("/etc/passwd"), 400, "leads out"),
    ("windows", renamed("..\\..\\windows"), 400, "leads out"),
    ("drive", renamed("C:\\windows\\x"), 400, "leads out"),
    ("link", packed((link("a.dcm"), b"/etc/passwd")), 400, "link"),
    ("device", packed((link("a.dcm", stat.S_IFCHR | 0o600), b"")), 400, "link or a device"),
    ("nested by name", packed(("inner.zip", b"anything")), 400, "another archive"),
    ("nested by content", packed(("image.dcm", packed(("a", b"b")))), 400, "another archive"),
    ("gzip within", packed(("image.dcm", b"\x1f\x8b\x08rest")), 400, "another archive"),
    ("encrypted", encrypted(), 400, "encrypted"),
    ("bomb", packed(("image.dcm", bytes(3_000_000))), 413, "times its size"),
    ("many", packed(*((f"{i}.dcm", b"x") for i in range(21))), 413, "21 files"),
    ("unpacked", packed(*((f"{i}.dcm", bytes(range(256)) * 3000) for i in range(10))), 413, "unpacks to"),
]


@pytest.fixture
def narrow(serve, tmp_path):
    """A server with narrow limits over an empty store."""
    limits = UploadLimits(bytes=40_000, members=20, unpacked=5_000_000, member=4_000_000, ratio=100.0)
    return serve(StudyStore(tmp_path / "store", mode="a").path, limits=limits)


def left(client):
    return list((desk_of(client).settings.work / "uploads").iterdir())


@pytest.mark.parametrize(
    ("content", "status", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_bad_archive_is_refused_with_the_reason_and_leaves_nothing(narrow, content, status, words):
    answer = narrow.post("/api/uploads", content=content, headers=ZIP)
    assert answer.status_code in (status, 400 if status == 422 else status) and words in answer.json()["error"]
    assert left(narrow) == [] and narrow.get("/api/jobs").json()["jobs"] == []


@pytest.mark.parametrize("kind", ["text/html", "application/x-tar", "multipart/form-data; boundary=x", "", "image/png"])
def test_a_wrong_content_type_is_refused(narrow, kind):
    answer = narrow.post("/api/uploads", content=packed(("a.dcm", b"x")), headers={"Content-Type": kind})
    assert answer.status_code == 415 and "application/zip" in answer.json()["error"]
    assert left(narrow) == []


def test_too_much_is_refused_whether_or_not_its_length_is_told(narrow):
    told = narrow.post("/api/uploads", content=bytes(50_000), headers=ZIP)
    silent = narrow.post("/api/uploads", content=(bytes(10_000) for _ in range(5)), headers=ZIP)
    for answer in (told, silent):
        assert answer.status_code == 413 and left(narrow) == []


def test_a_full_disk_is_told_and_leaves_nothing(narrow, monkeypatch):
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 1))
        answer = narrow.post("/api/uploads", content=packed(("a.dcm", b"x")), headers=ZIP)
        assert "no room on the server's disk" in answer.json()["error"]
    real = Path.open

    def full(path, mode="r", *rest, **more):
        if "uploads" in path.parts and mode == "xb":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", full)
    answer = narrow.post("/api/uploads", content=packed(("a.dcm", b"x")), headers=ZIP)
    assert answer.status_code == 507 and "no room on the disk" in answer.json()["error"] and left(narrow) == []


def test_a_server_may_take_no_uploads(serve):
    client = serve(uploads=False)
    answer = client.post("/api/uploads", content=packed(("a.dcm", b"x")), headers=ZIP)
    assert answer.status_code == 422 and "--no-upload" in answer.json()["error"]


def test_an_archive_without_images_is_a_failed_job_that_says_so(narrow):
    job = done(narrow, narrow.post("/api/uploads", content=packed(("note.txt", b"hello")), headers=ZIP))
    assert job.state == "failed" and "no DICOM" in job.message and "/uploads/" not in job.message
    assert left(narrow) == [] and len(desk_of(narrow).store) == 0


def test_a_study_comes_in_under_pseudonyms_and_is_read_and_drawn(serve, tmp_path):
    client = serve(StudyStore(tmp_path / "store", mode="a").path)
    study = replace(phantom(), patient="SECRETPATIENT", accession="SECRETACC")
    content = zipped(study, tmp_path / "dicom")
    job = done(client, client.post("/api/uploads", content=content, headers=ZIP))
    assert job.state == "done", job.message
    [key] = job.result["keys"]
    ends = [desk_of(client).jobs.wait(name).state for name in job.result["follow"]]
    assert ends == ["done", "done"] and left(client) == []
    reading = client.get(f"/api/studies/{key}/reading").json()
    assert reading["prediction"]["lvef_pct"] is not None and reading["contours"]["lvef_pct"] is not None
    for path in (*desk_of(client).store.path.rglob("*"), *desk_of(client).settings.work.rglob("*")):
        assert "SECRET" not in path.name and (path.is_dir() or b"SECRET" not in path.read_bytes()), path

    # again: there already; with other pixels: not replaced
    again = done(client, client.post("/api/uploads", content=content, headers=ZIP))
    assert again.state == "done" and again.result["keys"] == [key]
    before = desk_of(client).store.hash_of(key)
    darker = tuple(replace(cine, frames=cine.frames // 2) for cine in study.cines)
    other = zipped(replace(study, cines=darker), tmp_path / "other")
    refused = done(client, client.post("/api/uploads", content=other, headers=ZIP))
    assert refused.state == "failed" and "not replaced" in refused.message
    assert desk_of(client).store.hash_of(key) == before


@pytest.mark.parametrize("fault", [Stopped(), RuntimeError("a fault"), DiskError("full"), CheckpointError("a model")])
def test_an_archive_is_deleted_however_its_job_ends(narrow, monkeypatch, fault):
    def broken(*given, **more):
        raise fault

    monkeypatch.setattr("cardiolens.ingest.ingest", broken)
    job = done(narrow, narrow.post("/api/uploads", content=packed(("a.dcm", b"x")), headers=ZIP))
    assert job.state in ("failed", "stopped") and left(narrow) == []


def test_an_archive_whose_job_is_stopped_before_it_begins_is_deleted(narrow, monkeypatch):
    jobs = desk_of(narrow).jobs
    jobs.close()
    name = narrow.post("/api/uploads", content=packed(("a.dcm", b"x")), headers=ZIP).json()["id"]
    assert len(left(narrow)) == 1
    assert narrow.delete(f"/api/jobs/{name}").json()["state"] == "stopped" and left(narrow) == []


def test_archives_that_a_killed_server_left_are_deleted_at_the_next_start_and_waiting_ones_kept(serve, tmp_path):
    folder = tmp_path / "out" / "uploads"
    folder.mkdir(parents=True)
    (folder / "0123.zip").write_bytes(b"half an archive")
    (folder / "0123.store").mkdir()
    desk = Desk(Settings(serve().app.state.desk.settings.store, tmp_path / "other"), desk_of(serve()).engines)
    (tmp_path / "other" / "uploads" / "lost.zip").write_bytes(b"half")
    (tmp_path / "other" / "uploads" / "kept.zip").write_bytes(b"whole")
    desk.jobs.add("upload", {"file": "kept.zip"})
    desk._sweep()
    assert [path.name for path in (tmp_path / "other" / "uploads").iterdir()] == ["kept.zip"]
    desk.close()
    assert list(folder.iterdir()) == []


def test_a_disk_that_fills_while_an_upload_comes_in_ends_it(serve, tmp_path, monkeypatch):
    client = serve(StudyStore(tmp_path / "store", mode="a").path)
    monkeypatch.setattr(uploads, "_LOOK_EVERY", 10)
    usage, free = namedtuple("usage", "total used free"), iter([2**40])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, next(free, 0)))
    answer = client.post("/api/uploads", content=(bytes(20) for _ in range(50)), headers=ZIP)
    assert answer.status_code == 507 and "no room" in answer.json()["error"] and left(client) == []
