"""The DICOM service: C-ECHO and C-STORE as a provider, bounded in what it lets a sender do."""

from __future__ import annotations

import io
import logging
import socketserver
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    MRImageStorage,
    RLELossless,
)

from cardiolens.dicom.tags import Tags
from cardiolens.errors import StoreError
from cardiolens.pacs.spool import Spool, SpoolFull

if TYPE_CHECKING:
    from pynetdicom import AE
    from pynetdicom.events import Event

logger = logging.getLogger(__name__)

VERIFICATION = "1.2.840.10008.1.1"
CLASSES = (MRImageStorage, EnhancedMRImageStorage, "1.2.840.10008.5.1.4.1.1.4.3")  # the last: enhanced MR in colour
"""What is taken.  Not SR, SEG or secondary captures: an archive that routes everything would send our results back."""
SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEGLosslessSV1,
    JPEGLossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000Lossless,
    JPEG2000,
    HTJ2KLossless,
    RLELossless,
)
"""Every syntax whose pixels can be read; not the deflated one, which a few bytes make gigabytes of."""
SUCCESS, OUT_OF_RESOURCES, WRONG_OBJECT, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
MAX_PDU_BYTES = 1 << 20  # longest that is read; one that says it is longer ends the connection
_NAMED = ("StudyInstanceUID", "SOPInstanceUID", "NumberOfStudyRelatedInstances", "SOPClassUID")


@dataclass(frozen=True)
class Door:
    """How the service is reached, and its limits.

    Attributes:
        aet: own title, which callers must use; allow: titles that may call.
        host, port: to bind; loopback unless told otherwise.
        max_associations: at once.
        max_object_bytes: of one image.
        seconds: of silence after which a connection is closed.
    """

    aet: str
    allow: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 11112
    max_associations: int = 8
    max_object_bytes: int = 512 * 2**20
    seconds: float = 60.0


class Service:
    """The service while it runs, in threads of its own; `close` ends it."""

    def __init__(self, door: Door, spool: Spool) -> None:
        """Start to listen.

        Raises:
            StoreError: the port is taken, or may not be used.
        """
        from pynetdicom import evt
        from pynetdicom.transport import ThreadedAssociationServer

        class Server(ThreadedAssociationServer):
            """Takes no more connections than so many associations and some that are only knocking."""

            def verify_request(self, request: Any, client_address: Any) -> bool:
                return len(self.active_associations) < 4 * door.max_associations

            def handle_error(self, request: Any, client_address: Any) -> None:
                logger.warning("a connection ended in an error (%s)", sys.exc_info()[0])

        quiet_libraries()
        handlers: list[Any] = [
            (evt.EVT_C_ECHO, _echoed),
            (evt.EVT_C_STORE, _stored, [spool]),
            (evt.EVT_REJECTED, _rejected),
        ]
        try:
            self._server = _entity(door).make_server(
                (door.host, door.port),
                ae_title=door.aet,
                evt_handlers=handlers,
                server_class=Server,
                request_handler=_bounded(door),
            )
        except OSError as error:
            raise StoreError(
                f"cannot listen on {door.host}:{door.port} ({error.strerror or error}); is a node running already? "
                "Another port: --port"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="dicom service", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on, also where 0 asked for any free one."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """End every association and the service."""
        socketserver.BaseServer.shutdown(self._server)  # pynetdicom's own expects to have started it
        for association in self._server.active_associations:
            association.abort()
        self._server.server_close()
        self._thread.join(5)


def _entity(door: Door) -> AE:
    from pynetdicom import AE

    entity = AE(ae_title=door.aet)
    entity.require_called_aet = True
    entity.require_calling_aet = list(door.allow)
    entity.maximum_associations = door.max_associations
    entity.maximum_pdu_size = 1 << 17
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = door.seconds
    entity.add_supported_context(VERIFICATION)
    for sop_class in CLASSES:
        entity.add_supported_context(sop_class, list(SYNTAXES))
    return entity


def quiet_libraries() -> None:
    """Names and numbers of patients stay out of the log: the libraries' own words are not shown, ours are."""
    for name in ("pynetdicom", "pydicom", "highdicom", "dicomweb_client", "urllib3"):
        other = logging.getLogger(name)
        other.propagate = False
        if not other.handlers:
            other.addHandler(logging.NullHandler())


def _rejected(event: Event) -> None:
    logger.warning("refused an association from AE title %r", str(event.assoc.requestor.ae_title)[:16])


def _start_anew(event: Event) -> None:
    """One message is whole; the next is counted from nothing."""
    bounded: Any = event.assoc.dul.socket  # a BoundedSocket
    bounded.start_anew()


def _echoed(event: Event) -> int:
    _start_anew(event)
    return SUCCESS


def _stored(event: Event, spool: Spool) -> int:
    """Keep one image; the status for its sender."""
    _start_anew(event)
    try:
        content = event.encoded_dataset()
        about = _about(content)
    except Exception as error:  # noqa: BLE001 - hostile bytes make the parser raise anything
        logger.warning("refused an object that cannot be parsed (%s)", type(error).__name__)
        return NOT_UNDERSTOOD
    study, instance = about.text("StudyInstanceUID"), about.text("SOPInstanceUID")
    if not study or not instance:
        logger.warning("refused an object without StudyInstanceUID or SOPInstanceUID")
        return NOT_UNDERSTOOD
    if about.text("SOPClassUID") != str(event.context.abstract_syntax):
        logger.warning("refused an object that is not of the class it was announced as")
        return WRONG_OBJECT
    try:
        name = spool.keep(study, instance, content, about.integer("NumberOfStudyRelatedInstances"))
    except SpoolFull as error:
        logger.error("refused an image: %s", error)
        return OUT_OF_RESOURCES
    except StoreError as error:
        logger.error("could not keep an image: %s", error)
        return OUT_OF_RESOURCES
    logger.debug("study %s: an image more", name)
    return SUCCESS


def _about(content: bytes) -> Tags:
    """The few elements that decide where an image goes."""
    found: Dataset = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True, specific_tags=list(_NAMED))
    return Tags(found)


def _bounded(door: Door) -> type[Any]:
    """Connections whose messages are bounded in length and in time, whatever lengths their headers claim."""
    from pynetdicom.transport import AssociationSocket, RequestHandler

    class BoundedSocket(AssociationSocket):
        """Counts what comes in for one object, and closes the connection at the limit."""

        received = 0

        def start_anew(self) -> None:
            self.received = 0

        def recv(self, nr_bytes: int) -> bytearray:
            self.received += nr_bytes
            if nr_bytes > MAX_PDU_BYTES or self.received > door.max_object_bytes:
                logger.warning("closed a connection that sends %d bytes where no image needs them", self.received)
                raise OSError("message too long")
            connection = self.socket
            if connection is None:
                raise OSError("closed")
            deadline = time.monotonic() + door.seconds
            out = bytearray()
            connection.settimeout(door.seconds)
            while len(out) < nr_bytes:
                part = connection.recv(min(nr_bytes - len(out), 1 << 16))
                if not part:
                    break
                out += part
                if time.monotonic() > deadline:
                    raise TimeoutError("a message that trickles in")
            return out

    class BoundedRequest(RequestHandler):
        """Gives each association a bounded socket."""

        def _create_association(self) -> Any:
            association = super()._create_association()
            association.dul.socket.__class__ = BoundedSocket  # a second one would announce the connection twice
            return association

    return BoundedRequest
