"""A node on loopback ports with a reader that knows the answer, tiny studies for it, and an archive that remembers."""

from __future__ import annotations

import io
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np
import pydicom
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    Comprehensive3DSRStorage,
    EnhancedMRImageStorage,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    Verification,
)

from cardiolens.conditions import ConditionFinding
from cardiolens.findings import Interval, Prediction
from cardiolens.pacs.node import Node, Settings
from cardiolens.pacs.scp import Door, Service
from cardiolens.pacs.send import Peer
from cardiolens.pacs.spool import Spool
from cardiolens.pacs.work import Reader
from cardiolens.phantom import write_dicom
from cardiolens.segmentation import Segmentation
from drawn_phantom import phantom, truth

KEY = b"a key for tests, long enough"
RESULTS = (Comprehensive3DSRStorage, SegmentationStorage, SecondaryCaptureImageStorage)


class Oracle:
    """Draws the phantom's true masks, each view's once."""

    known: ClassVar[dict] = {}

    def __call__(self, study, views=None, *, progress=None):
        for cine in study.cines:
            if cine.view not in self.known:
                self.known[cine.view] = truth(cine)
        wanted = [cine for cine in study.cines if views is None or cine.view in views]
        return tuple(Segmentation(cine, self.known[cine.view], source="oracle") for cine in wanted)


def prediction(**changes) -> Prediction:
    """What a model says; changes take the place of fields."""
    fields = {
        "lvef_pct": 57.3,
        "interval": Interval(48.0, 66.0, 0.9),
        "out_of_domain": False,
        "domain_score": 0.5,
        "domain_threshold": 1.0,
        "domain_reasons": (),
        "clips": (),
        "attention": (),
        "embeddings": np.zeros((1, 512), np.float32),
        "provenance": {"model": "oracle:test", "weights_sha256": "ab" * 32},
        "notes": ("Read without 2CH.",),
        "conditions": (
            ConditionFinding("myocarditis", 0.3, 0.12, 0.5, False),
            ConditionFinding("severe_aortic_stenosis", 0.8, 0.62, 0.5, True),
            ConditionFinding("amyloidosis", 0.3),
        ),
    }
    return Prediction(**(fields | changes))


def reader(**changes) -> Reader:
    fields = {"predict": lambda study: prediction(), "segmenter": Oracle(), "key": KEY}
    return Reader(**(fields | changes))


def scan(folder: Path, patient: str = "P1", style: str = "enhanced") -> list[Path]:
    """DICOM files of the drawn phantom under a patient's name."""
    return list(write_dicom(phantom(), folder, style=style, patient_id=patient, accession=f"ACC-{patient}"))


def datasets(files) -> list[pydicom.Dataset]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [pydicom.dcmread(path) for path in files]


class Archive:
    """A C-STORE provider that remembers what it was given; refuses while `refuse` holds a status."""

    def __init__(self, classes=RESULTS) -> None:
        self.got: list[pydicom.Dataset] = []
        self.refuse = 0
        entity = AE(ae_title="ARCHIVE")
        for sop_class in classes:
            entity.add_supported_context(sop_class)
        self._server = entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._stored)]
        )
        self.peer = Peer("ARCHIVE", "127.0.0.1", self._server.server_address[1])

    def _stored(self, event) -> int:
        if self.refuse:
            return self.refuse
        self.got.append(pydicom.dcmread(io.BytesIO(event.encoded_dataset())))
        return 0

    def close(self) -> None:
        self._server.shutdown()

    def modalities(self, patient: str) -> list[str]:
        return sorted(one.SOPClassUID.name.split(" ")[0] for one in self.got if one.PatientID == patient)


class Running:
    """A spool, the service that fills it, and a node that is stepped by hand, on a clock that is set by hand."""

    def __init__(self, folder: Path, to: Peer, *, read=None, service: bool = True, **settings) -> None:
        self.now = time.time()
        limits = settings.pop("limits", {})
        door = settings.pop("door", {})
        self.spool = Spool(folder, key=KEY, clock=lambda: self.now, **({"free_bytes": 0} | limits))
        fields = {"aet": "CARDIOLENS", "to": to, "quiet": 30.0, "stall": 300.0}
        self.told = []
        self.node = Node(
            self.spool,
            read or reader(segmenter=None),
            Settings(**(fields | settings)),
            clock=lambda: self.now,
            progress=lambda entry: self.told.append((entry.study, entry.state)),
        )
        door = {"aet": "CARDIOLENS", "allow": ("SCANNER",), "port": 0, "seconds": 5.0} | door
        self.service = Service(Door(**door), self.spool) if service else None

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def work(self) -> int:
        """Step until nothing is due; how many steps did something."""
        steps = 0
        while self.node.step():
            steps += 1
        return steps

    def entry(self):
        (entry,) = self.spool.entries.values()
        return entry

    def close(self) -> None:
        if self.service:
            self.service.close()
        self.spool.close()


@contextmanager
def sender(port: int, calling: str = "SCANNER", called: str = "CARDIOLENS"):
    """An association with a node, to store images over."""
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 5
    entity.add_requested_context(Verification)
    for sop_class in (MRImageStorage, EnhancedMRImageStorage, *RESULTS):
        entity.add_requested_context(sop_class)
    association = entity.associate("127.0.0.1", port, ae_title=called)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def store(port: int, sets, **names) -> list[int]:
    """Statuses of storing data sets one after the other."""
    with sender(port, **names) as association:
        assert association.is_established
        return [association.send_c_store(one).Status for one in sets]
