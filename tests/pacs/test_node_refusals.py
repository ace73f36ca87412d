"""What an archive refuses for ever is given up, said and kept; what cannot be deleted is said."""

import shutil

import pytest

pytest.importorskip("pynetdicom", reason="the extra pacs is not installed")

from quick_node import RESULTS, Archive, Running, datasets, scan, store

from cardiolens.cli import main
from cardiolens.pacs import node as node_module
from cardiolens.pacs.send import Peer


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return datasets(scan(tmp_path_factory.mktemp("scans"), "Quillfeather"))


@pytest.fixture(autouse=True)
def few_tries(monkeypatch):
    monkeypatch.setattr(node_module, "_MOST_REFUSALS", 3)


@pytest.fixture
def running(tmp_path, images):
    """Makes a node with one study that is due to be sent."""
    made = []

    def make(to, **settings):
        made.append(Running(tmp_path / "spool", to, **settings))
        if not made[-1].spool.entries:
            store(made[-1].service.port, images)
            made[-1].wait(31)
        return made[-1]

    yield make
    for one in made:
        one.close()


def tries(node, most=20):
    """Work until nothing is sent any more; how often something was tried."""
    done = 0
    while done < most and node.work():
        done += 1
        node.wait(1000)
    return done


def held(tmp_path, what):
    return sorted(path.name for path in (tmp_path / "spool").rglob(f"{what}/*.dcm"))


def test_an_object_refused_every_time_is_given_up_and_the_rest_is_in_the_archive(running, tmp_path, capsys):
    choosy = Archive(RESULTS[2:])
    node = running(choosy.peer)
    assert tries(node) == 3
    entry = node.entry()
    assert (entry.state, entry.sent, list(entry.given_up)) == ("partly sent", ["SC.dcm"], ["SR.dcm"])
    assert entry.reason.endswith("does not take objects such as SR, 3 times")
    assert held(tmp_path, "images") == [] and held(tmp_path, "results") == ["SC.dcm", "SR.dcm"]
    with pytest.raises(SystemExit) as leaving:
        main(["node", "--store", str(tmp_path / "spool"), "--status"])
    assert not leaving.value.code
    said = " ".join(capsys.readouterr().out.split())
    assert "partly sent" in said and "1 of 2" in said and "1 partly sent" in said
    node.close()
    choosy.close()


def test_the_status_of_a_refusal_is_kept_and_retry_sends_what_was_refused_alone(running, tmp_path):
    archive = Archive()
    node = running(archive.peer)
    archive.refuse = 0xC000
    assert tries(node) == 3
    assert node.entry().reason.count("with status 0xC000 (Cannot Understand), 3 times") == 2
    node.close()
    archive.refuse = 0
    node = running(archive.peer)
    assert node.entry().state == "partly sent" and tries(node) == 0
    assert node.node.retry() == 1
    assert tries(node) == 1
    assert (node.entry().state, node.entry().reason, node.entry().given_up) == ("sent", "", {})
    assert len(archive.got) == 2 and held(tmp_path, "results") == []
    archive.close()


def test_an_archive_that_cannot_be_reached_is_tried_on_and_its_refusals_before_count(running):
    archive = Archive()
    node = running(archive.peer)
    archive.refuse = 0xA700
    node.work()
    archive.close()
    node.node.settings = node_module.Settings("CARDIOLENS", Peer("ARCHIVE", "127.0.0.1", 9))
    node.wait(1000)
    assert tries(node) == 20 and node.entry().state == "sending"
    assert node.entry().refusals == {"SR.dcm": 1, "SC.dcm": 1}


def test_new_images_make_everything_be_sent_anew(running, images):
    archive = Archive()
    node = running(archive.peer)
    archive.refuse = 0xC000
    tries(node)
    archive.refuse = 0
    store(node.service.port, images)
    node.wait(31)
    node.work()
    assert (node.entry().state, node.entry().refusals, len(archive.got)) == ("sent", {}, 2)
    archive.close()


def test_images_that_cannot_be_deleted_are_said_and_known(running, tmp_path, monkeypatch):
    archive = Archive()
    node = running(archive.peer)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    node.work()
    entry = node.entry()
    assert (entry.state, entry.reason) == ("sent", "images could not be deleted from the spool: Permission denied")
    assert len(node.spool.images(entry.study)) == len(held(tmp_path, "images")) == 2
    archive.close()


def test_a_damaged_result_whose_images_are_deleted_is_asked_for_again_and_the_rest_is_sent(running, tmp_path):
    archive = Archive()
    archive.refuse = 0xC000
    node = running(archive.peer)
    tries(node)
    assert node.entry().state == "partly sent" and held(tmp_path, "images") == []
    archive.refuse = 0
    (damaged,) = (tmp_path / "spool").rglob("SR.dcm")
    damaged.write_bytes(damaged.read_bytes()[:160])
    assert node.node.retry() == 1
    tries(node)
    entry = node.entry()
    assert (entry.state, entry.sent, list(entry.given_up)) == ("partly sent", ["SC.dcm"], ["SR.dcm"])
    assert "send the whole study again" in entry.reason
