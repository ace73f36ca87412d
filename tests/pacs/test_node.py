"""The node: studies in over C-STORE, results out, in spite of interleaving, stalls, kills, archives that are away."""

import copy
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

pytest.importorskip("pynetdicom", reason="the extra pacs is not installed")

from quick_node import KEY, RESULTS, Archive, Running, datasets, prediction, reader, scan, sender, store

from cardiolens.cli import main
from cardiolens.cli.node import _lvef
from cardiolens.errors import InputError, StoreError
from cardiolens.pacs.journal import entries
from cardiolens.pacs.send import Peer, ae_title, peer
from cardiolens.pacs.spool import Spool

NOWHERE = Peer("NOWHERE", "127.0.0.1", 9)
OBJECTS = ["Comprehensive", "Secondary", "Segmentation", "Segmentation"]
FIGURES = OBJECTS[:2]  # without contours, which take longer
QUICK = reader(segmenter=None)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Patient to the two images (short axis, four chambers) of a study of theirs."""
    folder = tmp_path_factory.mktemp("scans")
    return {name: datasets(scan(folder / name, name)) for name in ("Quillfeather", "Sandoval")}


@pytest.fixture
def archive():
    one = Archive()
    yield one
    one.close()


@pytest.fixture
def running(tmp_path, archive):
    made = []

    def make(**settings):
        made.append(Running(settings.pop("folder", tmp_path / "spool"), settings.pop("to", archive.peer), **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_two_studies_that_arrive_interleaved_each_come_back_whole_and_once(studies, archive, running):
    node = running(read=reader())
    mixed = [one for pair in zip(*studies.values(), strict=True) for one in pair]
    assert store(node.service.port, mixed) == [0] * 4
    assert node.work() == 0  # more may come
    node.wait(31)
    node.work()
    for patient, sets in studies.items():
        assert archive.modalities(patient) == OBJECTS
        mine = [one for one in archive.got if one.PatientID == patient]
        assert {one.StudyInstanceUID for one in mine} == {sets[0].StudyInstanceUID}
        assert {one.AccessionNumber for one in mine} == {f"ACC-{patient}"}
    assert node.work() == 0
    assert {one.state for one in node.spool.entries.values()} == {"sent"}


@pytest.fixture
def log():
    """What reaches the log when everything is shown, as `-v` and more would."""
    lines = []

    class Kept(logging.Handler):
        def emit(self, record):
            lines.append(f"{record.name} {self.format(record)}")  # with the traceback, where there is one

    handler, root = Kept(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


def test_images_are_deleted_once_sent_and_nothing_that_stays_names_the_patient(
    studies, archive, running, log, tmp_path
):
    node = running()
    store(node.service.port, studies["Quillfeather"])
    assert len(list((tmp_path / "spool").rglob("*.dcm"))) == 2
    node.wait(31)
    node.work()
    assert list((tmp_path / "spool").rglob("*.dcm")) == []
    secrets = ["Quillfeather", str(studies["Quillfeather"][0].StudyInstanceUID)]
    for path in (tmp_path / "spool").rglob("*"):
        held = path.name + (path.read_text() if path.is_file() else "")
        assert not any(secret in held for secret in secrets)
    assert any("2 results sent" in line for line in log)
    assert [line for line in log if any(secret in line for secret in secrets)] == []


def test_words_of_an_archive_and_of_an_unexpected_error_are_neither_logged_nor_kept(
    studies, archive, running, log, tmp_path
):
    node = running()
    store(node.service.port, studies["Quillfeather"])

    def stumbles(folder, made, comments=()):
        try:
            raise KeyError("PatientName Quillfeather")
        except KeyError as error:
            raise ValueError("Invalid value for VR PN: 'Quillfeather'") from error

    node.node.reader = stumbles
    node.wait(31)
    node.work()
    (line,) = [line for line in log if "stumbles" in line and line.startswith("cardiolens.pacs.node")]
    assert "ValueError < test_node.py:" in line and "; after KeyError < test_node.py:" in line
    node.node.reader = QUICK
    node.node.retry()
    node.wait(31)
    archive.refuse = Dataset()
    archive.refuse.Status, archive.refuse.ErrorComment = 0xC000, "cannot match Quillfeather"
    node.work()
    assert "with status 0xC000 (Cannot Understand)" in node.entry().reason
    mine = [line for line in log if line.startswith("cardiolens")]
    assert any("0xC000" in line for line in mine)
    assert not [line for line in mine if "Quillfeather" in line]
    assert not [path for path in (tmp_path / "spool").rglob("*.json") if "Quillfeather" in path.read_text()]


def test_with_keep_images_and_results_stay(studies, running, tmp_path):
    node = running(keep=True)
    store(node.service.port, studies["Quillfeather"])
    node.wait(31)
    node.work()
    assert len(list((tmp_path / "spool").rglob("images/*.dcm"))) == 2
    assert len(list((tmp_path / "spool").rglob("results/*.dcm"))) == 2


def test_a_resent_study_gives_the_same_objects_again(studies, archive, running):
    node = running()
    for _ in range(2):
        store(node.service.port, studies["Quillfeather"])
        node.wait(31)
        node.work()
    uids = [str(one.SOPInstanceUID) for one in archive.got]
    assert len(uids) == 4
    assert sorted(uids[:2]) == sorted(uids[2:])


def test_a_study_that_stalls_is_reported_then_read_as_it_is_and_says_so(studies, archive, running):
    node = running()
    image = copy.deepcopy(studies["Quillfeather"][0])
    image.NumberOfStudyRelatedInstances = 2
    store(node.service.port, [image])
    node.wait(31)
    assert node.work() == 0
    assert (node.entry().state, node.entry().reason) == ("waiting", "1 of 2 images came")
    node.wait(300)
    node.work()
    assert node.entry().state == "sent"
    (report,) = [one for one in archive.got if one.Modality == "SR"]
    assert "Incomplete: 1 of 2 images of the study came." in texts(report)


def texts(item):
    """Every text in a tree of content."""
    found = [item.TextValue] if "TextValue" in item else []
    return found + [text for child in item.get("ContentSequence", ()) for text in texts(child)]


def test_a_study_is_read_at_once_when_all_the_images_that_it_announces_are_there(studies, running):
    node = running()
    sets = copy.deepcopy(studies["Quillfeather"])
    for one in sets:
        one.NumberOfStudyRelatedInstances = 2
    store(node.service.port, sets[:1])
    assert node.work() == 0
    store(node.service.port, sets[1:])
    assert node.work() > 0
    assert node.entry().state == "sent"


def test_a_sender_that_breaks_off_leaves_a_study_that_is_read_all_the_same(studies, archive, running):
    node = running()
    with sender(node.service.port) as association:
        assert association.send_c_store(studies["Quillfeather"][0]).Status == 0
        association.abort()
    node.wait(31)
    node.work()
    assert "Comprehensive" in archive.modalities("Quillfeather")


def test_images_that_come_while_a_study_is_read_make_it_be_read_again(studies, archive, running):
    node = running()
    counted = []

    def slow(folder, made, comments=()):
        counted.append(len(list(folder.glob("*.dcm"))))
        if len(counted) == 1:
            store(node.service.port, studies["Quillfeather"][1:])
        return QUICK(folder, made, comments)

    node.node.reader = slow
    store(node.service.port, studies["Quillfeather"][:1])
    node.wait(31)
    node.work()
    assert archive.got == []  # what was read first is not sent
    node.wait(31)
    node.work()
    assert counted == [1, 2]
    assert archive.modalities("Quillfeather") == FIGURES


def test_images_after_the_study_was_sent_and_deleted_are_kept_and_the_whole_study_asked_for(studies, archive, running):
    node = running()
    store(node.service.port, studies["Quillfeather"][:1])
    node.wait(31)
    node.work()
    before = len(archive.got)
    store(node.service.port, studies["Quillfeather"][1:])
    node.wait(31)
    node.work()
    assert node.entry().state == "failed"
    assert "send the whole study again" in node.entry().reason
    assert len(node.spool.images(node.entry().study)) == 1
    store(node.service.port, studies["Quillfeather"])
    node.wait(31)
    node.work()
    assert node.entry().state == "sent"
    assert len(archive.got) > before


def test_an_archive_that_is_away_gets_everything_when_it_is_back_and_nothing_twice(studies, archive, running):
    node = running()
    store(node.service.port, studies["Quillfeather"])
    node.wait(31)
    archive.refuse = 0xA700
    node.work()
    entry = node.entry()
    assert entry.state == "sending"
    assert "0xA700" in entry.reason
    pauses = []
    for _ in range(3):
        pauses.append(entry.next_try - node.now)
        assert node.work() == 0  # not before its time
        node.wait(pauses[-1] + 0.1)
        node.work()
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1]
    archive.refuse = 0
    node.wait(1000)
    node.work()
    assert entry.state == "sent"
    assert archive.modalities("Quillfeather") == FIGURES


def test_an_archive_that_does_not_take_reports_gets_the_rest_and_is_named(studies, running):
    choosy = Archive(RESULTS[2:])
    try:
        node = running(to=choosy.peer)
        store(node.service.port, studies["Quillfeather"])
        node.wait(31)
        node.work()
        assert choosy.modalities("Quillfeather") == ["Secondary"]
        assert node.entry().reason.endswith("does not take objects such as SR")
        assert node.entry().sent == ["SC.dcm"]
    finally:
        choosy.close()


def test_an_archive_that_is_away_for_months_is_tried_on_at_the_longest_pause(studies, running):
    node = running(to=NOWHERE)
    store(node.service.port, studies["Quillfeather"])
    node.wait(31)
    node.work()
    entry = node.entry()
    entry.attempts, entry.next_try = 5000, 0.0
    assert node.node.step()
    assert entry.next_try - node.now == 600.0
    assert entry.attempts == 5001


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:160]),
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        Path.unlink,
    ],
)
def test_a_result_damaged_on_the_disk_is_made_anew_and_not_for_ever(studies, running, tmp_path, damage):
    node = running(to=NOWHERE)
    store(node.service.port, studies["Quillfeather"])
    node.wait(31)
    node.work()
    for _ in range(2):
        (result,) = (tmp_path / "spool").rglob("SR.dcm")
        whole = result.read_bytes()
        damage(result)
        node.wait(1000)
        assert node.node.step() and node.entry().state == "receiving"
        assert node.node.step() and node.entry().state == "sending"  # read again
        assert len(next((tmp_path / "spool").rglob("SR.dcm")).read_bytes()) == len(whole)
    damage(result)
    node.wait(1000)
    assert node.node.step()
    assert node.entry().state == "failed" and "damaged on the disk" in node.entry().reason
    assert node.work() == 0


def test_an_image_that_announces_no_images_at_all_is_not_the_whole_study(studies, running):
    node = running()
    node.spool.keep("1.2.3", "1.2.3.4", b"image", 0)
    assert node.work() == 0 and node.entry().state == "receiving"


def test_the_table_says_which_lvef_it_is_and_when_not_to_rely_on_it():
    assert _lvef({"lvef_pct": 48.0}) == "48 % (contours)"
    assert _lvef({"lvef_network_pct": 57.0, "lvef_pct": 48.0}) == "57 %"
    assert "do not rely" in _lvef({"lvef_network_pct": 57.0, "out_of_domain": 1.0})
    assert _lvef({}) == ""


def test_an_archive_that_cannot_be_reached_is_named_and_nothing_is_lost(studies, running, tmp_path):
    node = running(to=NOWHERE)
    store(node.service.port, studies["Quillfeather"])
    node.wait(31)
    node.work()
    assert "NOWHERE@127.0.0.1:9 cannot be reached" in node.entry().reason
    assert len(list((tmp_path / "spool").rglob("*.dcm"))) == 4


def test_a_study_that_cannot_be_read_fails_with_its_reason_and_is_kept_until_it_is_asked_for_again(
    studies, archive, running, tmp_path
):
    node = running()
    store(node.service.port, studies["Quillfeather"])
    node.node.reader = lambda folder, made, comments=(): 1 / 0
    node.wait(31)
    node.work()
    assert (node.entry().state, node.entry().reason) == ("failed", "unexpected ZeroDivisionError, see the log")
    assert len(list((tmp_path / "spool").rglob("*.dcm"))) == 2
    node.node.reader = QUICK
    assert node.node.retry() == 1
    node.wait(31)
    node.work()
    assert archive.modalities("Quillfeather") == FIGURES


def test_no_cine_is_a_reason_that_a_person_understands(studies, running):
    node = running()
    still = copy.deepcopy(studies["Quillfeather"][0])
    still.NumberOfFrames = 1
    still.PerFrameFunctionalGroupsSequence = still.PerFrameFunctionalGroupsSequence[:1]
    still.PixelData = still.PixelData[: still.Rows * still.Columns * 2]
    store(node.service.port, [still])
    node.wait(31)
    node.work()
    assert "no cine in the study" in node.entry().reason
    assert "no time axis" in node.entry().reason
    assert str(still.StudyInstanceUID) not in node.entry().reason


def test_a_figure_is_sent_although_the_segmenter_fails(studies, archive, running):
    class Broken:
        def __call__(self, study, views=None, *, progress=None):
            raise InputError("no weights for this kind")

    node = running(read=reader(segmenter=Broken()))
    store(node.service.port, studies["Quillfeather"])
    node.wait(31)
    node.work()
    assert archive.modalities("Quillfeather") == FIGURES
    (report,) = [one for one in archive.got if one.Modality == "SR"]
    assert any("no contours" in text and "no weights for this kind" in text for text in texts(report))


HALF_WAY = """
import threading, time
from pathlib import Path
from cardiolens.pacs.node import Node, Settings
from cardiolens.pacs.scp import Door, Service
from cardiolens.pacs.send import Peer
from cardiolens.pacs.spool import Spool
def hang(folder, made, comments=()):
    print("reading", flush=True)
    time.sleep(60)
spool = Spool(Path({spool!r}), free_bytes=0, key={key!r})
print(Service(Door("CARDIOLENS", ("SCANNER",), port=0), spool).port, flush=True)
Node(spool, hang, Settings("CARDIOLENS", Peer("NOWHERE", "127.0.0.1", 9), quiet=0.3)).run(threading.Event(), 0.05)
"""


def test_a_node_killed_between_store_and_result_goes_on_after_its_restart(studies, archive, running, tmp_path):
    code = HALF_WAY.format(spool=str(tmp_path / "spool"), key=KEY)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline())
        assert store(port, studies["Quillfeather"]) == [0, 0]
        assert process.stdout.readline() == "reading\n"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    (left,) = entries(tmp_path / "spool")
    assert left.state == "reading"
    node = running()
    node.wait(31)
    node.work()
    assert archive.modalities("Quillfeather") == FIGURES
    assert node.entry().state == "sent"


def test_a_node_killed_while_it_sends_sends_only_what_is_left(studies, archive, running, tmp_path):
    node = running()
    store(node.service.port, studies["Quillfeather"])
    node.wait(31)
    node.node.step()  # read
    entry = node.entry()
    assert entry.state == "sending"
    entry.sent = entry.results[:1]
    entry.save(node.spool.path)
    node.close()
    again = running()
    again.work()
    assert archive.modalities("Quillfeather") == FIGURES[1:]


def test_a_study_that_ends_the_process_each_time_is_not_begun_for_ever(studies, running):
    node = running(service=False)
    node.spool.keep("1.2.3", "1.2.3.4", b"x")
    entry = node.entry()
    entry.begun = 3
    node.wait(31)
    node.work()
    assert entry.state == "failed"
    assert "ended 3 times" in entry.reason


def test_half_written_files_of_a_killed_node_are_removed_and_whole_ones_kept(tmp_path):
    spool = Spool(tmp_path / "spool", key=KEY, free_bytes=0)
    study = spool.keep("1.2.3", "1.2.3.4", b"whole")
    spool.close()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    from cardiolens.store.atomic import _host

    (tmp_path / "spool" / study / "images" / f".x.dcm.{_host()}-{gone.pid}-00.part").write_bytes(b"ha")
    (tmp_path / "spool" / study / "state.json").unlink()
    again = Spool(tmp_path / "spool", key=KEY, free_bytes=0)
    assert [path.name for path in (tmp_path / "spool" / study / "images").iterdir()] == again.images(study)
    assert again.entries[study].state == "receiving"
    again.close()


def test_two_nodes_do_not_share_a_spool_and_a_folder_of_others_is_left_alone(tmp_path):
    spool = Spool(tmp_path / "spool", key=KEY)
    with pytest.raises(StoreError, match="runs already"):
        Spool(tmp_path / "spool", key=KEY)
    spool.close()
    (tmp_path / "other" / "letters").mkdir(parents=True)
    with pytest.raises(StoreError, match="holds letters"):
        Spool(tmp_path / "other", key=KEY)
    assert (tmp_path / "other" / "letters").is_dir()


def test_status_names_every_study_its_state_and_reason(studies, running, tmp_path, capsys):
    node = running(to=NOWHERE)
    store(node.service.port, studies["Quillfeather"])
    main_ends_with(0, "node", "--store", tmp_path / "spool", "--status")
    said = capsys.readouterr().out
    assert "The node runs; 1 receiving" in said
    assert " 2 " in said
    node.wait(31)
    node.work()
    node.close()
    main_ends_with(0, "node", "--store", tmp_path / "spool", "--status")
    said = capsys.readouterr().out
    assert "No node runs; 1 sending" in said
    assert "cannot be reached" in " ".join(said.split())
    assert "57 %" in said
    assert "Quillfeather" not in said


def main_ends_with(code, *arguments):
    try:
        main([*map(str, arguments)])
        found = 0
    except SystemExit as end:
        found = end.code or 0
    assert found == code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--send-to AET@HOST:PORT"),
        (["--send-to", "orthanc"], "an archive is AET@host:port"),
        (["--send-to", "ORTHANC@127.0.0.1:4242", "--aet", "A" * 17], "is no AE title"),
        (["--send-to", "ORTHANC@127.0.0.1:4242", "--model", "none", "--no-segment"], "nothing to read studies with"),
        (["--status"], "is no spool"),
    ],
)
def test_wrong_options_are_one_message(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", KEY.decode())
    main_ends_with(1, "node", "--store", tmp_path / "spool", *arguments)
    assert words in capsys.readouterr().err


def test_the_command_serves_until_it_is_stopped_and_warns_beyond_this_machine(
    studies, archive, tmp_path, capsys, monkeypatch
):
    import threading

    from cardiolens import addresses
    from cardiolens.cli import node as command

    stop = threading.Event()
    monkeypatch.setenv("CARDIOLENS_KEY", KEY.decode())
    monkeypatch.setattr(command, "_reader", lambda *_: QUICK)
    monkeypatch.setattr(command, "_stop_signal", lambda: stop)
    monkeypatch.setattr(addresses, "is_loopback", lambda host: False)
    port = free_port()
    to = archive.peer
    options = ("--store", tmp_path / "spool", "--send-to", str(to), "--port", port, "--quiet", 0.2, "--min-free", 0)
    thread = threading.Thread(target=main_ends_with, args=(0, "node", "--allow", "SCANNER", *options))
    thread.start()
    try:
        until = time.monotonic() + 20
        while not answers(port) and time.monotonic() < until:
            time.sleep(0.05)
        assert store(port, studies["Quillfeather"]) == [0, 0]
        while len(archive.got) < 2 and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        stop.set()
        thread.join(10)
    said = capsys.readouterr().err
    assert archive.modalities("Quillfeather") == FIGURES
    assert "beyond this machine" in said
    assert "takes from SCANNER, ARCHIVE" in said
    assert "Quillfeather" not in said


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answers(port: int) -> bool:
    with sender(port) as association:
        return association.is_established


def test_a_taken_port_is_named(running, tmp_path):
    first = running()
    with pytest.raises(StoreError, match="is a node running already"):
        running(folder=tmp_path / "second", door={"port": first.service.port})


def test_archives_and_titles_as_people_type_them():
    assert peer("ORTHANC@127.0.0.1:4242") == Peer("ORTHANC", "127.0.0.1", 4242)
    assert peer("PACS 1@[::1]:104") == Peer("PACS 1", "::1", 104)
    for wrong in ("@h:1", "A@h", "A@h:0", "A@h:70000", "A@h/x:1", "A\\B@h:1"):
        with pytest.raises(InputError):
            peer(wrong)
    with pytest.raises(InputError):
        ae_title("ÄÖ")


def test_a_prediction_out_of_domain_says_so_in_the_report(studies, archive, running):
    outside = prediction(out_of_domain=True, domain_reasons=("darker than usual",))
    node = running(read=reader(predict=lambda study: outside, segmenter=None))
    store(node.service.port, studies["Quillfeather"])
    node.wait(31)
    node.work()
    (report,) = [one for one in archive.got if one.Modality == "SR"]
    assert any("do not rely on this" in text for text in texts(report))
    assert "darker than usual" in texts(report)


def test_the_clock_of_a_running_node_is_the_systems(studies, archive, tmp_path):
    """Node.run, not stepped by hand: two studies one after the other, stopped between."""
    import threading

    from cardiolens.pacs.node import Node, Settings

    running = Running(tmp_path / "spool", archive.peer)
    node = Node(running.spool, QUICK, Settings("CARDIOLENS", archive.peer, quiet=0.2))
    stop = threading.Event()
    thread = threading.Thread(target=node.run, args=(stop, 0.05))
    thread.start()
    try:
        store(running.service.port, studies["Quillfeather"])
        until = time.monotonic() + 20
        while len(archive.got) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert archive.modalities("Quillfeather") == FIGURES
    finally:
        stop.set()
        thread.join(10)
        running.close()
