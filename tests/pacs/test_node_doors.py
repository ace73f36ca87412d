"""What the node does not let in: strangers, hostile lengths, floods, a full disk."""

import copy
import socket
import struct
import threading
import time

import pytest

pytest.importorskip("pynetdicom", reason="the extra pacs is not installed")

from pydicom.uid import CTImageStorage
from pynetdicom import AE
from quick_node import RESULTS, Running, datasets, scan, sender, store

from cardiolens.pacs import spool as spool_module
from cardiolens.pacs.send import Peer

AWAY = Peer("AWAY", "127.0.0.1", 9)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return datasets(scan(tmp_path_factory.mktemp("scan") / "in", "Quillfeather"))


@pytest.fixture
def running(tmp_path):
    made = []

    def make(**settings):
        made.append(Running(tmp_path / "spool", AWAY, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def echoes(port: int) -> bool:
    """Whether the service still answers."""
    with sender(port) as association:
        return association.is_established and association.send_c_echo().Status == 0


def stored(running) -> int:
    return sum(1 for path in running.spool.path.rglob("*.dcm"))


def test_a_title_that_is_not_on_the_list_is_refused_and_so_is_a_call_for_another(running, images):
    port = running().service.port
    for names in ({"calling": "STRANGER"}, {"called": "OTHER"}):
        with sender(port, **names) as association:
            assert association.is_rejected
    assert echoes(port)


def test_results_are_not_taken_so_that_an_archive_that_routes_everything_makes_no_loop(running):
    port = running().service.port
    with sender(port) as association:
        taken = {context.abstract_syntax for context in association.accepted_contexts}
    assert not taken & set(RESULTS)
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(CTImageStorage)
    association = entity.associate("127.0.0.1", port, ae_title="CARDIOLENS")
    assert association.accepted_contexts == []
    association.abort()


def test_no_more_associations_than_allowed(running):
    port = running(door={"max_associations": 1}).service.port
    with sender(port) as first:
        assert first.is_established
        with sender(port) as second:
            assert not second.is_established
    until = time.monotonic() + 5
    while not (again := echoes(port)) and time.monotonic() < until:
        time.sleep(0.05)
    assert again


def talk(port: int, *parts: bytes) -> bytes:
    """What the service answers to raw bytes until it closes the connection, or after a second."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.settimeout(10)
        try:
            for part in parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            out = b""
            while part := connection.recv(4096):
                out += part
        except OSError:
            return b""
        return out


def pdu(kind: int, length: int, body: bytes = b"") -> bytes:
    return struct.pack(">BBL", kind, 0, length) + body


@pytest.mark.parametrize(
    "parts",
    [
        [pdu(1, 0xFFFFFFFF), b"x" * 100_000],
        [pdu(1, 0xFFFFFFFF)],
        [pdu(1, 68, b"\x00\x01\x00\x00" + b"A" * 16 + b"B" * 16 + b"\x00" * 32)],
        [pdu(1, 80, b"\x00\x01\x00\x00CARDIOLENS      SCANNER         " + b"\x00" * 32 + b"\x10\x00\xff\xff" * 3)],
        [pdu(4, 10, struct.pack(">LBB", 0xFFFFFFFF, 1, 3) + b"1234")],
        [pdu(9, 4, b"junk")],
        [b"GET / HTTP/1.1\r\n\r\n"],
        [b"\x01"],
        [],
    ],
    ids=["4 GB", "nothing after", "no items", "item too long", "data first", "no such kind", "http", "byte", "silence"],
)  # fmt: skip
def test_hostile_lengths_end_the_connection_and_not_the_service(running, parts):
    port = running().service.port
    talk(port, *parts)
    assert echoes(port)


def test_a_message_that_claims_4_gb_is_not_waited_for(running):
    node = running(door={"seconds": 60.0})
    with socket.create_connection(("127.0.0.1", node.service.port), timeout=10) as connection:
        connection.sendall(pdu(1, 0xFFFFFFFF))
        started = time.monotonic()
        assert connection.recv(10) == b""  # closed by the service
    assert time.monotonic() - started < 5


def test_a_message_that_trickles_in_is_not_waited_for_either(running):
    node = running(door={"seconds": 0.5})
    with socket.create_connection(("127.0.0.1", node.service.port), timeout=10) as connection:
        connection.sendall(pdu(1, 1000))
        with pytest.raises(OSError):
            for _ in range(100):
                connection.sendall(b"\0")
                time.sleep(0.05)


def command(instance: str, sop_class: str) -> bytes:
    """A C-STORE request as its command set."""

    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHL", 0, number, len(value)) + value

    parts = (
        element(0x0002, sop_class.encode()),
        element(0x0100, struct.pack("<H", 1)),
        element(0x0110, struct.pack("<H", 1)),
        element(0x0700, struct.pack("<H", 2)),
        element(0x0800, struct.pack("<H", 1)),
        element(0x1000, instance.encode()),
    )
    body = b"".join(parts)
    return element(0x0000, struct.pack("<L", len(body))) + body


def raw_store(association, payload: bytes) -> int | None:
    """Store these bytes as an enhanced MR image; the status, or None where the connection ends."""
    from pydicom.uid import EnhancedMRImageStorage
    from pynetdicom.pdu_primitives import P_DATA

    (context,) = [c for c in association.accepted_contexts if c.abstract_syntax == EnhancedMRImageStorage]
    association._reactor_checkpoint.clear()  # else the library takes the answer away
    for control, data in ((b"\x03", command("1.2.3.4", EnhancedMRImageStorage)), (b"\x02", payload)):
        sent = P_DATA()
        sent.presentation_data_value_list = [[context.context_id, control + data]]
        association.dul.send_pdu(sent)
    answer = association.dimse.get_msg(True)[1]
    association._reactor_checkpoint.set()
    return None if answer is None else answer.Status


def element(group: int, number: int, length: int, value: bytes = b"") -> bytes:
    return struct.pack("<HHL", group, number, length) + value


HEAD = element(0x0008, 0x0016, 28, b"1.2.840.10008.5.1.4.1.1.4.1\0")
UIDS = element(0x0008, 0x0018, 8, b"1.2.3.4\0") + element(0x0020, 0x000D, 6, b"1.2.3\0")


@pytest.mark.parametrize(
    ("payload", "kept"),
    [
        (element(0x0008, 0x0016, 0xFFFFFFF0, b"1.2"), 0),
        (HEAD, 0),
        (b"", 0),
        (b"\xff" * 4096, 0),
        (HEAD + element(0x0008, 0x1140, 0xFFFFFFFF) + element(0xFFFE, 0xE000, 0xFFFFFFFF) * 3000 + UIDS, 0),
        (HEAD + UIDS[:16] + element(0x0020, 0x000D, 6, b"1.2.3\0") + element(0x7FE0, 0x0010, 0xFFFFFFF0, b"ab"), 1),
    ],
    ids=["element of 4 GB", "no UIDs", "nothing", "noise", "nested without end", "pixels of 4 GB"],
)  # fmt: skip
def test_objects_that_lie_about_their_lengths_are_refused_or_fail_alone(running, images, payload, kept):
    node = running()
    with sender(node.service.port) as association:
        assert raw_store(association, payload) == (0x0000 if kept else 0xC000)
    assert stored(node) == kept
    node.wait(31)
    node.work()
    assert [entry.state for entry in node.spool.entries.values()] == ["failed"] * kept
    assert store(node.service.port, images) == [0, 0]


def test_an_object_that_is_larger_than_allowed_is_not_taken_to_its_end(running, images):
    node = running(door={"max_object_bytes": 20_000})
    with sender(node.service.port) as association:
        answer = association.send_c_store(images[0])
    assert "Status" not in answer
    assert stored(node) == 0
    assert echoes(node.service.port)


def test_an_object_of_another_class_than_announced_is_refused(running, images):
    node = running()
    wrong = copy.deepcopy(images[0])
    with sender(node.service.port) as association:
        payload = HEAD.replace(b"4.1\0", b"7\0\0\0") + UIDS
        assert raw_store(association, payload) == 0xA900
        assert association.send_c_store(wrong).Status == 0


def test_too_many_images_and_too_many_studies_are_refused_and_those_before_stay(running, images):
    node = running(limits={"max_images": 1, "max_studies": 1})
    assert store(node.service.port, images) == [0, 0xA700]
    assert store(node.service.port, images[:1]) == [0]  # the same again
    other = copy.deepcopy(images[0])
    other.StudyInstanceUID, other.SOPInstanceUID = "1.2.3", "1.2.3.4"
    assert store(node.service.port, [other]) == [0xA700]
    assert stored(node) == 1


def test_a_disk_without_room_refuses_and_leaves_nothing_behind(running, images, monkeypatch):
    node = running(limits={"free_bytes": 1 << 62})
    assert store(node.service.port, images[:1]) == [0xA700]

    def full(path, content):
        raise OSError(28, "No space left on device")

    node.spool.free_bytes = 0
    monkeypatch.setattr(spool_module, "write_whole", full)
    assert store(node.service.port, images[:1]) == [0xA700]
    monkeypatch.undo()
    assert stored(node) == 0
    assert store(node.service.port, images[:1]) == [0]


def test_senders_at_once_lose_no_image(running, images, tmp_path):
    node = running()
    statuses: list[int] = []

    def send_all(number: int) -> None:
        mine = copy.deepcopy(images)
        for i, one in enumerate(mine):
            one.StudyInstanceUID, one.SOPInstanceUID = f"1.2.{number}", f"1.2.{number}.{i + 1}"
        statuses.extend(store(node.service.port, mine))

    threads = [threading.Thread(target=send_all, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 8
    assert stored(node) == 8
    assert [entry.images for entry in node.spool.entries.values()] == [2] * 4
