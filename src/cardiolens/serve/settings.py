"""What a server is started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

MiB = 2**20


@dataclass(frozen=True)
class UploadLimits:
    """What an uploaded archive may be.

    Attributes:
        bytes: of the archive itself.
        members: files in it.
        unpacked: bytes of all files together; member: of one.
        ratio: unpacked over packed size, of the whole and of any file above 1 MiB.
    """

    bytes: int = 2048 * MiB
    members: int = 20_000
    unpacked: int = 8192 * MiB
    member: int = 1024 * MiB
    ratio: float = 200.0


@dataclass(frozen=True)
class Settings:
    """What a server is started with.

    Attributes:
        store: folder of the studies.
        out: where results, changes and jobs are kept; None for a folder beside the store, `STORE.serve`.
        model: what `load_model` takes; segmenter: what `load_segmenter` takes, None for none.
        host, port: where it listens.
        token: that a client must show; None lets everybody in, which only a loopback address allows.
        names: host names under which it may be asked for, beside loopback and plain addresses.
        uploads: whether studies may be brought in.
        limits: of uploads.
        secure: whether it is reached over TLS, so that cookies are sent over nothing else.
    """

    store: Path
    out: Path | None = None
    model: str = "shad-mvit-tiny:phantom"
    segmenter: str | None = "phantom"
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()
    uploads: bool = True
    limits: UploadLimits = UploadLimits()
    secure: bool = False

    @property
    def work(self) -> Path:
        """Folder of results, changes and jobs."""
        path = Path(self.store).absolute()
        return self.out.absolute() if self.out is not None else path.with_name(f"{path.name}.serve")
