"""The round trip with a real Orthanc: store, read, result visible there, over DIMSE and DICOMweb."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the extra pacs is not installed")

from quick_node import KEY, Running, reader, scan

from cardiolens.pacs.pull import filters, pull
from cardiolens.pacs.send import Peer
from cardiolens.pacs.web import WebArchive
from cardiolens.reading import read_study

ORTHANC = shutil.which("Orthanc")
PLUGIN = next(map(str, Path("/usr").glob("*/orthanc/plugins/libOrthancDicomWeb.so")), None)
pytestmark = pytest.mark.skipif(
    ORTHANC is None or PLUGIN is None,
    reason="Orthanc with its DICOMweb plugin is not installed (Debian: apt-get install orthanc orthanc-dicomweb)",
)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Orthanc:
    """A server of its own, in a folder, on free ports."""

    def __init__(self, folder: Path, node_port: int) -> None:
        self.http, self.dicom = free_port(), free_port()
        settings = {
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "HttpPort": self.http,
            "HttpBindAddresses": ["127.0.0.1"],
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": "ORTHANC",
            "DicomPort": self.dicom,
            "DicomModalities": {"cardiolens": ["CARDIOLENS", "127.0.0.1", node_port]},
            "Plugins": [PLUGIN],
            "DicomWeb": {"Enable": True},
        }
        (folder / "config.json").write_text(json.dumps(settings))
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen([ORTHANC, str(folder / "config.json")], stdout=log, stderr=log)
        until = time.monotonic() + 30
        while True:
            try:
                self.get("/system")
                return
            except urllib.error.URLError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def get(self, path: str):
        return self._ask(urllib.request.Request(f"http://127.0.0.1:{self.http}{path}"))

    def post(self, path: str, body: bytes):
        return self._ask(urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data=body))

    def _ask(self, request):
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    @property
    def peer(self) -> Peer:
        return Peer("ORTHANC", "127.0.0.1", self.dicom)

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.http}/dicom-web"

    def give(self, files) -> list[str]:
        """Upload files; Orthanc's names of the instances."""
        return [self.post("/instances", Path(path).read_bytes())["ID"] for path in files]

    def modalities(self, patient: str) -> list[str]:
        """Modalities of the series of a patient, by QIDO-RS."""
        found = self.get(f"/dicom-web/series?PatientID={patient}")
        return sorted(one["00080060"]["Value"][0] for one in found)


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def orthanc(tmp_path, port):
    (tmp_path / "orthanc").mkdir()
    one = Orthanc(tmp_path / "orthanc", port)
    yield one
    one.close()


def node_on(port, tmp_path, orthanc, **settings) -> Running:
    return Running(
        tmp_path / "spool", orthanc.peer, door={"port": port, "allow": ("ORTHANC",), "seconds": 30.0}, **settings
    )


SENT_BACK = ["MR", "MR", "MR", "SEG", "SR"]  # two cines and the summary, masks, report


def test_two_studies_interleaved_from_orthanc_come_back_and_are_found_by_qido_and_pulled(
    tmp_path, orthanc, port, monkeypatch
):
    monkeypatch.setenv("CARDIOLENS_KEY", KEY.decode())
    names = ("Quillfeather", "Sandoval")
    given = [orthanc.give(scan(tmp_path / name, name)) for name in names]
    node = node_on(port, tmp_path, orthanc, read=reader())
    try:
        for instances in zip(*given, strict=True):  # one image of each in turn
            for instance in instances:
                orthanc.post("/modalities/cardiolens/store", instance.encode())
        assert [entry.images for entry in node.spool.entries.values()] == [2, 2]
        node.wait(31)
        node.work()
        for name in names:
            assert orthanc.modalities(name) == SENT_BACK
        before = orthanc.get("/statistics")["CountInstances"]
        orthanc.post("/modalities/cardiolens/store", json.dumps(given[0]).encode())  # the same study again
        node.wait(31)
        node.work()
        assert orthanc.get("/statistics")["CountInstances"] == before
    finally:
        node.close()
    rows = pull(
        WebArchive(orthanc.web), tmp_path / "pulled", filters(None, "Sandoval", None, None, None), only_cines=True,
        free_bytes=0,
    )  # fmt: skip
    assert sorted(row.why for row in rows) == ["", "", "no cine by its headers"]
    assert [str(view) for view in read_study(tmp_path / "pulled").views] == ["SAX", "4CH"]


def test_a_study_that_orthanc_stops_sending_half_way_is_read_as_far_as_it_came(tmp_path, orthanc, port):
    first, _ = orthanc.give(scan(tmp_path / "in", "Quillfeather"))
    node = node_on(port, tmp_path, orthanc)
    try:
        orthanc.post("/modalities/cardiolens/store", first.encode())
        assert node.work() == 0
        node.wait(31)
        node.work()
        assert orthanc.modalities("Quillfeather") == ["MR", "MR", "MR", "SR"]
    finally:
        node.close()


KILLED = """
import sys, threading, time
from pathlib import Path
from cardiolens.pacs.node import Node, Settings
from cardiolens.pacs.scp import Door, Service
from cardiolens.pacs.send import Peer
from cardiolens.pacs.spool import Spool
def hang(folder, made, comments=()):
    print("reading", flush=True)
    time.sleep(60)
spool = Spool(Path({spool!r}), free_bytes=0, key={key!r})
Service(Door("CARDIOLENS", ("ORTHANC",), port={port}), spool)
print("up", flush=True)
Node(spool, hang, Settings("CARDIOLENS", Peer("ORTHANC", "127.0.0.1", {dicom}), quiet=0.3)).run(threading.Event(), 0.05)
"""


def test_a_node_killed_between_store_and_result_sends_the_result_after_its_restart(tmp_path, orthanc, port):
    given = orthanc.give(scan(tmp_path / "in", "Quillfeather"))
    code = KILLED.format(spool=str(tmp_path / "spool"), key=KEY, port=port, dicom=orthanc.dicom)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "up\n"
        orthanc.post("/modalities/cardiolens/store", json.dumps(given).encode())
        assert process.stdout.readline() == "reading\n"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert orthanc.modalities("Quillfeather") == ["MR", "MR"]
    node = node_on(port, tmp_path, orthanc)
    try:
        node.wait(31)
        node.work()
    finally:
        node.close()
    assert orthanc.modalities("Quillfeather") == ["MR", "MR", "MR", "SR"]
