"""`cardiolens pull` from a DICOMweb server, also one that is away, busy, locked, breaks off or lies."""

import copy
import csv
import logging
import time

import pytest

pytest.importorskip("dicomweb_client", reason="the extra pacs is not installed")
pytest.importorskip("pynetdicom", reason="the extra pacs is not installed")

from fake_dicomweb import FakeArchive
from quick_node import datasets, scan

from cardiolens.cli import main
from cardiolens.errors import InputError, ReadError
from cardiolens.pacs import web
from cardiolens.pacs.pull import filters, pull
from cardiolens.pacs.web import PASSWORD, TOKEN, USER, WebArchive
from cardiolens.reading import read_study
from cardiolens.store.atomic import DiskError


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", "a key for tests, long enough")
    for name in (TOKEN, USER, PASSWORD):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two patients: one with a classic short axis of 81 images beside a localizer, one with two enhanced images."""
    from cardiolens.phantom import write_dicom
    from drawn_phantom import phantom

    folder = tmp_path_factory.mktemp("scans")
    first = write_dicom(phantom(), folder / "a", style="ge", patient_id="Quillfeather", localizer=True)
    return datasets([*first, *scan(folder / "b", "Sandoval")])


@pytest.fixture
def server(sets):
    one = FakeArchive(copy.deepcopy(sets))
    yield one
    one.close()


def patient(sets, name):
    return [one for one in sets if one.PatientID == name]


def archive(server, **more):
    return WebArchive(server.url, **({"seconds": 5.0, "attempts": 2, "pause_ms": 1} | more))


def fetch(server, out, name="Quillfeather", **more):
    return pull(
        archive(server), out, filters(None, name, None, None, None), **({"pause": 0.01, "free_bytes": 0} | more)
    )


def images(out):
    return list(out.rglob("*.dcm"))


def test_a_patients_study_comes_whole_and_reads_as_on_disk(server, sets, tmp_path):
    rows = fetch(server, tmp_path / "out")
    assert len(images(tmp_path / "out")) == len(patient(sets, "Quillfeather"))
    assert not any(row.why for row in rows)
    study = read_study(tmp_path / "out")
    assert (study.patient, [str(view) for view in study.views]) == ("Quillfeather", ["SAX", "4CH"])
    named = (
        "".join(path.as_posix() for path in (tmp_path / "out").rglob("*")) + (tmp_path / "out/pulled.csv").read_text()
    )
    assert "Quillfeather" not in named
    assert str(sets[0].StudyInstanceUID) not in named


def test_a_second_call_fetches_nothing_that_is_there(server, tmp_path):
    fetch(server, tmp_path / "out")
    server.asked.clear()
    rows = fetch(server, tmp_path / "out")
    assert sum(row.fresh for row in rows) == 0
    assert {path.rsplit("/", 1)[-1] for path in server.asked} == {"studies", "series", "instances"}


def test_a_stream_that_breaks_off_goes_on_with_the_images_that_are_missing(server, sets, tmp_path):
    server.break_after = 40
    rows = fetch(server, tmp_path / "out")
    assert not any(row.why for row in rows)
    assert len(images(tmp_path / "out")) == len(patient(sets, "Quillfeather"))
    single = [path for path in server.asked if "/instances/" in path]
    assert 0 < len(single) < len(patient(sets, "Quillfeather")) - 9


def test_a_pull_that_is_stopped_goes_on_where_it_was(server, sets, tmp_path):
    class Stopped(Exception):  # noqa: N818
        pass

    def stop(what, done, total):
        if done >= 5:
            raise Stopped

    with pytest.raises(Stopped):
        fetch(server, tmp_path / "out", progress=stop)
    before = {path: path.stat().st_mtime_ns for path in images(tmp_path / "out")}
    assert 0 < len(before) < len(patient(sets, "Quillfeather"))
    fetch(server, tmp_path / "out")
    assert len(images(tmp_path / "out")) == len(patient(sets, "Quillfeather"))
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())


def test_only_cines_leaves_the_localizer_where_it_is_and_says_so(server, tmp_path):
    rows = fetch(server, tmp_path / "out", only_cines=True)
    assert [row.why for row in rows].count("no cine by its headers") == 1
    assert len(images(tmp_path / "out")) == sum(row.images for row in rows if not row.why)
    (left,) = [row for row in csv.DictReader((tmp_path / "out/pulled.csv").open()) if row["why"]]
    assert left["images"] == "0"


def test_enhanced_cines_are_known_by_their_headers_too(server, tmp_path):
    rows = fetch(server, tmp_path / "out", "Sandoval", only_cines=True)
    assert [row.why for row in rows] == ["", ""]


def test_images_that_are_listed_and_cannot_be_had_are_named_and_the_rest_is_kept(server, sets, tmp_path):
    server.lies = ["1.2.3.4.5"]
    rows = fetch(server, tmp_path / "out", "Sandoval")
    assert all((row.failed and "1 of 2" in row.why) or "404" in row.why for row in rows)
    assert len(images(tmp_path / "out")) == 2


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_names_from_the_server_never_lead_out_of_the_folder(server, sets, tmp_path):
    for one in server.sets:
        one.SOPInstanceUID = f"../../../{one.SOPInstanceUID}"
        one.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    fetch(server, tmp_path / "deep" / "er" / "out", "Sandoval")
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and "out" not in path.parts]
    assert outside == []


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.busy = 1
    assert not any(row.why for row in fetch(server, tmp_path / "out", "Sandoval"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"busy": 99}, "out of order or busy"),
        ({"login": "Bearer other"}, "wants a login"),
        ({"body": b"<html>Hello</html>"}, "no DICOMweb service"),
        ({"body": b'[{"0020000D": 7}]'}, "no DICOM"),
        ({"body": b'[{"0020000D": {"vr": "UI", "Value": ["1.2"]}}]'}, "no study"),  # without end
        ({"body": b"[]"}, "no study with MR series matches PatientID Quillfeather"),
    ],
)
def test_what_is_wrong_with_a_server_is_said_in_words(server, tmp_path, spoil, words):
    for name, value in spoil.items():
        setattr(server, name, value)
    with pytest.raises(ReadError, match=words):
        fetch(server, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_server_that_is_away_is_named(server, tmp_path):
    server.close()
    with pytest.raises(ReadError, match="cannot be reached"):
        fetch(server, tmp_path / "out")


def test_an_address_without_dicomweb_is_told_so(server):
    with pytest.raises(ReadError, match="ends in /dicom-web"):
        WebArchive(server.url.replace("dicom-web", "wado"), attempts=1).studies({"PatientID": "x"})


@pytest.mark.parametrize(
    ("variables", "expected"),
    [({TOKEN: "t0ken"}, "Bearer t0ken"), ({USER: "jo", PASSWORD: "pass"}, "Basic am86cGFzcw==")],
)
def test_a_login_comes_from_the_environment_and_is_not_logged(
    server, tmp_path, monkeypatch, caplog, variables, expected
):
    caplog.set_level(logging.DEBUG, logger="cardiolens")
    server.login = expected
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert not any(row.why for row in fetch(server, tmp_path / "out", "Sandoval"))
    said = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("cardiolens"))
    assert "t0ken" not in said
    assert "Sandoval" not in said


def test_a_login_does_not_travel_in_the_open_nor_to_another_host(monkeypatch):
    monkeypatch.setenv(TOKEN, "t0ken")
    with pytest.raises(InputError, match="unencrypted"):
        WebArchive("http://archive.example/dicom-web")
    login = web._Login("archive.example", "t0ken", None, None)

    class Request:
        url = "https://elsewhere.example/x"
        headers: dict[str, str] = {}  # noqa: RUF012

    assert "Authorization" not in login(Request()).headers
    Request.url = "https://archive.example/x"
    assert login(Request()).headers["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("url", ["archive", "ftp://x/y", "http://jo:pass@127.0.0.1/dicom-web", "file:///etc/passwd"])
def test_addresses_that_are_none_or_hold_a_login_are_refused(url):
    with pytest.raises(InputError):
        WebArchive(url)


def test_a_disk_without_room_ends_the_pull_and_leaves_whole_files(server, tmp_path):
    with pytest.raises(DiskError, match="must stay free"):
        fetch(server, tmp_path / "out", free_bytes=1 << 62)
    assert images(tmp_path / "out") == []


def run(*arguments):
    try:
        main(["pull", *map(str, arguments)])
    except SystemExit as end:
        return end.code or 0
    return 0


def test_the_command_fetches_and_counts(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert run("--from", server.url, "--out", tmp_path / "out", "--patient", "Sandoval", "--min-free", 0) == 0
    assert "1 studies, 2 series, 2 images (2 fetched now); 0 series left out" in capsys.readouterr().out
    server.lies = ["1.2.3.4.5"]
    assert run("--from", server.url, "--out", tmp_path / "out", "--patient", "Sandoval", "--min-free", 0) == 1
    assert "not whole: series" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "name what to fetch"), (["--since", "yesterday"], "a date is written 2026-01-31")],
)
def test_the_command_wants_to_know_what_to_fetch(tmp_path, capsys, arguments, words):
    assert run("--from", "http://127.0.0.1:9/dicom-web", "--out", tmp_path / "out", *arguments) == 1
    assert words in capsys.readouterr().err


def test_what_is_asked_for_as_a_server_understands_it():
    assert filters("1.2", None, None, None, None) == {"StudyInstanceUID": "1.2"}
    assert filters(None, "P*", "A", "20260101", None) == {
        "PatientID": "P*",
        "AccessionNumber": "A",
        "StudyDate": "20260101-",
    }


def test_an_image_without_a_uid_is_a_series_that_is_not_whole(server, sets, tmp_path, monkeypatch):
    nameless = copy.deepcopy(patient(sets, "Sandoval")[0])
    del nameless.SOPInstanceUID
    monkeypatch.setattr(WebArchive, "images", lambda self, series, only=None: iter([nameless]))
    rows = fetch(server, tmp_path, "Sandoval", attempts=1)
    assert all(row.failed and "without SOPInstanceUID" in row.why for row in rows)


def test_the_folder_is_the_owners_alone_and_what_is_wrong_with_it_is_said(server, tmp_path):
    fetch(server, tmp_path / "out" / "pulled")
    assert (tmp_path / "out" / "pulled").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DiskError, match="cannot write"):
        fetch(server, tmp_path / "file")
    (tmp_path / "out" / "pulled" / "pulled.csv").write_bytes(b"\xff\xfe series")
    with pytest.raises(ReadError, match=r"pulled\.csv cannot be read"):
        fetch(server, tmp_path / "out" / "pulled")
