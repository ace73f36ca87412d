"""`StudyStore`: a folder of studies, read by key and written whole."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from cardiolens.annotation import Annotation
from cardiolens.errors import StoreError
from cardiolens.files import sha256_of
from cardiolens.store import _annotation_file, _published, _study_file
from cardiolens.store._frames import no_view, read_frames, require_within, view_of
from cardiolens.store._handles import Handles
from cardiolens.store._keys import KEY, identified
from cardiolens.store.atomic import PART, disk_errors, is_leftover, write_whole
from cardiolens.store.labels import read_by_key, write_by_key
from cardiolens.study import Cine, LazyFrames, Study, View

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

LABELS = "labels.csv"
_SUFFIX = ".h5"
_MASKS = ".masks"


class StudyStore:
    """Studies in a folder, one HDF5 file each: ``<site>_<patient pseudonym>/<accession pseudonym>.h5``.

    A key is that path without its suffix.  Files of the layout published by Shad et al. are read as well (see
    `cardiolens.store._published`).  A study is written whole or not at all.  The object may be pickled, forked and used
    from threads; each process opens files for itself, on first use.

    Args:
        path: the folder.
        mode: "r" to read an existing store, "a" to make it where absent and write.

    Raises:
        StoreError: the folder is absent ("r") or cannot be made ("a").
    """

    def __init__(self, path: str | Path, mode: Literal["r", "a"] = "r"):
        if mode not in ("r", "a"):
            raise StoreError(f"a store is opened with mode 'r' or 'a', not {mode!r}")
        self.path = Path(path).absolute()
        self.mode = mode
        self._handles = Handles()
        self._file_hashes: dict[tuple[str, int, int], str] = {}
        if mode == "a":
            with disk_errors(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
            self.clear_leftovers()
        elif not self.path.is_dir():
            raise StoreError(f"no store at {self.path}; make one with: cardiolens ingest SRC --out {self.path}")

    def __repr__(self) -> str:
        return f"StudyStore({str(self.path)!r}, mode={self.mode!r})"

    # --- what is there -------------------------------------------------------------------------------------------

    def keys(self) -> list[str]:
        """Every study, sorted."""
        return sorted(f"{folder.name}/{file.name[: -len(_SUFFIX)]}" for folder, file in self._files(_SUFFIX))

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and KEY.fullmatch(key) is not None and self._path_of(key).is_file()

    def info(self, key: str) -> dict[str, Any]:
        """What a study holds, without its pixels.

        Returns:
            ``views``: view name to (slice, time, row, col); ``patient``, ``accession``, ``site``, ``sex``, ``age``,
            ``has_report``, ``has_geometry`` (view name to whether mm can be measured), ``content_hash``, ``published``
            (whether the file is of the authors' layout).
        """
        study = self.read(key)
        return {
            "key": key,
            "views": {str(cine.view): cine.shape for cine in study.cines},
            "has_geometry": {str(cine.view): cine.has_geometry for cine in study.cines},
            "patient": study.patient,
            "accession": study.accession,
            "site": study.site,
            "sex": study.sex,
            "age": study.age,
            "has_report": study.report is not None,
            "content_hash": self.hash_of(key),
            "published": self._layouts(key) is not None,
        }

    # --- reading -------------------------------------------------------------------------------------------------

    def read(self, key: str) -> Study:
        """The study; its frames are read on first use.

        Raises:
            StoreError: no such study, a damaged file, or one of a newer or unknown schema.
        """
        with self._reading(key) as file:
            if _study_file.is_study_file(file):
                _study_file.require_schema(file, key)
                frames: dict[View, LazyFrames] = {
                    view: _StoredFrames(self, key, view, shape) for view, shape in _study_file.shapes(file).items()
                }
                return _study_file.decode(file, frames)
            found, refused = _published.layouts(file)
        folder, accession = key.split("/")
        site, _, patient = folder.partition("_")
        cines = tuple(
            Cine(
                view=view,
                frames=_StoredFrames(self, key, view, layout.shape),
                source=f"{key}: {layout.name}",
                notes=layout.notes,
            )
            for view, layout in found.items()
        )
        return Study(cines, patient=patient or site, accession=accession, site=site, refused=tuple(refused))

    def frames(self, key: str, view: View | str, plane: int, indices: Iterable[int] | None = None) -> npt.NDArray[Any]:
        """Some frames of one plane, read straight from the file.

        Args:
            key: the study.
            view: e.g. "SAX".
            plane: from 0, along the ascending slice positions.
            indices: phases wanted, in the order wanted, repeats allowed; None for all.

        Returns:
            (time, row, col) in native dtype.

        Raises:
            StoreError: no such study, view, plane or phase, or a damaged file.
        """
        wanted = None if indices is None else [int(index) for index in indices]
        with self._reading(key) as file:
            if not _study_file.is_study_file(file):
                layout = self._layout(file, key, view)
                require_within(key, view, plane, wanted, layout.shape)
                return _published.read_plane(file[layout.name], layout, plane, wanted)
            _study_file.require_schema(file, key)
            name = f"{view_of(view).value}/frames"
            if name not in file:
                raise no_view(key, view, _study_file.shapes(file))
            dataset = file[name]
            require_within(key, view, plane, wanted, dataset.shape)
            return read_frames(dataset, plane, wanted)

    def report(self, key: str) -> str | None:
        """The report text of a study, or None."""
        with self._reading(key) as file:
            if not _study_file.is_study_file(file):
                return None
            _study_file.require_schema(file, key)
            return _study_file.report_of(file)

    # --- writing -------------------------------------------------------------------------------------------------

    def write(self, study: Study, *, key: str | None = None) -> str:
        """Write a study whole, in place of an earlier one of the same key; return its key.

        Identifiers that are not pseudonyms yet are made so first (`cardiolens.dicom.deid`), unless `key` says where the
        study belongs: then patient and accession are those of the key.  Raw identifiers never reach the disk.

        Raises:
            StoreError: the store is open for reading, the disk is full, or the study cannot be held; what was there
                before is then still there, and nothing else.
        """
        if self.mode != "a":
            raise StoreError(f"{self.path} is open for reading; open it with mode='a' to write")
        study, key = identified(study, key)
        content, _ = _study_file.encode(study)
        target = self._path_of(key)
        with disk_errors(target):
            write_whole(target, content)
        self._handles.close(target)
        return key

    def remove(self, key: str) -> None:
        """Take a study out of the store, and its masks.

        Raises:
            StoreError: the store is open for reading, or there is no such study.
        """
        if self.mode != "a" or key not in self:
            raise StoreError(f"cannot remove {key}: {'not in the store' if self.mode == 'a' else 'open for reading'}")
        for path in (self._masks_of(key), self._path_of(key)):
            self._handles.close(path)
            with disk_errors(path):
                path.unlink(missing_ok=True)

    def clear_leftovers(self) -> None:
        """Delete what killed writers left; what a living one writes stays.  Opening with "a" does so too."""
        if self.mode != "a":
            raise StoreError(f"{self.path} is open for reading; open it with mode='a' to clear leftovers")
        of_studies = [Path(file.path) for _, file in self._files(PART)]
        for path in (*of_studies, *self.path.glob(f".*{PART}")):
            if is_leftover(path):
                log.info("removing %s, left by an interrupted write", path.relative_to(self.path))
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files that this process holds open; they are opened again on use."""
        self._handles.close()

    # --- labels --------------------------------------------------------------------------------------------------

    def labels(self) -> pd.DataFrame:
        """The table ``labels.csv`` indexed by key; empty where there is none.

        Raises:
            ReportError: no column `key`, or a key twice.
        """
        import pandas as pd

        path = self.path / LABELS
        if not path.is_file():
            empty: pd.DataFrame = pd.DataFrame(index=pd.Index([], name="key", dtype=str))
            return empty
        return read_by_key(path)

    def write_labels(self, labels: pd.DataFrame) -> None:
        """Write ``labels.csv`` whole, one row a study, indexed by key.

        Raises:
            ReportError: a key twice, or one that is not in the store.
            StoreError: it cannot be written.
        """
        write_by_key(self.path / LABELS, labels, self.keys())

    # --- masks ---------------------------------------------------------------------------------------------------

    def annotate(self, key: str, annotations: Mapping[View, Annotation]) -> None:
        """Write the masks and landmarks of a study, whole and in place of earlier ones; none takes them away.

        The study's own file and hash stay as they are; one that is written anew with other pixels loses its masks.

        Raises:
            StoreError: open for reading, no such study, or masks that do not lie on its cines.
        """
        if self.mode != "a":
            raise StoreError(f"{self.path} is open for reading; open it with mode='a' to write masks")
        path = self._masks_of(key)
        content = _annotation_file.encode(annotations, self.read(key), self.hash_of(key)) if annotations else None
        self._handles.close(path)
        with disk_errors(path):
            if content is None:
                path.unlink(missing_ok=True)
            else:
                write_whole(path, content)

    def annotations(self, key: str) -> dict[View, Annotation]:
        """The masks and landmarks of a study by view; empty where there are none.

        Raises:
            StoreError: no such study, a damaged file, or masks of other pixels than the study has now.
        """
        content, path = self.hash_of(key), self._masks_of(key)
        if not path.is_file():
            return {}
        with self._handles.reading(path) as file:
            return _annotation_file.decode(file, content, key)

    def annotation_hash(self, keys: Iterable[str]) -> str:
        """SHA-256 over the keys and masks of some studies."""
        digest = hashlib.sha256()
        for key in sorted(keys):
            digest.update(f"{key}\0{_annotation_file.hash_of(self.annotations(key))}\n".encode())
        return digest.hexdigest()

    # --- hashes --------------------------------------------------------------------------------------------------

    def hash_of(self, key: str) -> str:
        """SHA-256 over the content of a study (of a file of the published layout: over its bytes)."""
        with self._reading(key) as file:
            if _study_file.is_study_file(file):
                _study_file.require_schema(file, key)
                return str(file.attrs["content_hash"])
        path = self._path_of(key)
        status = path.stat()
        stamp = (key, status.st_ino, status.st_mtime_ns)
        if stamp not in self._file_hashes:
            self._file_hashes[stamp] = sha256_of(path)
        return self._file_hashes[stamp]

    def hash(self) -> str:
        """SHA-256 over keys and contents of all studies; labels do not enter."""
        digest = hashlib.sha256()
        for key in self.keys():
            digest.update(f"{key}\0{self.hash_of(key)}\n".encode())
        return digest.hexdigest()

    def verify(self, key: str | None = None) -> None:
        """Read a study, or all, and compare with the content hash taken when it was written.

        Raises:
            StoreError: naming each study that is damaged, with the reason.
        """
        faults = []
        for each in self.keys() if key is None else [key]:
            try:
                with self._reading(each) as file:
                    if not _study_file.is_study_file(file):
                        found, _ = _published.layouts(file)
                        for layout in found.values():
                            file[layout.name][()]
                        continue
                    _study_file.require_schema(file, each)
                    if _study_file.recompute_hash(file) != file.attrs["content_hash"]:
                        faults.append(f"{each}: content differs from its hash; ingest the study again")
            except StoreError as error:
                faults.append(str(error))
        if faults:
            raise StoreError(f"{len(faults)} damaged: " + "; ".join(faults))

    # --- inside --------------------------------------------------------------------------------------------------

    def _files(self, suffix: str) -> Iterator[tuple[os.DirEntry[str], os.DirEntry[str]]]:
        with os.scandir(self.path) as folders:
            for folder in folders:
                if not folder.is_dir() or folder.name.startswith("."):
                    continue
                with os.scandir(folder.path) as files:
                    for file in files:
                        if file.name.endswith(suffix) and file.name.startswith(".") == (suffix == PART):
                            yield folder, file

    def _path_of(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise StoreError(f"{key!r} is no key; a key is site_patient/accession, see StudyStore.keys()")
        return self.path / (key + _SUFFIX)

    def _masks_of(self, key: str) -> Path:
        return self._path_of(key).with_name(f"{key.partition('/')[2]}{_MASKS}")

    @contextmanager
    def _reading(self, key: str) -> Iterator[h5py.File]:
        """The open file of a study, to be used within the `with` only."""
        try:
            with self._handles.reading(self._path_of(key)) as file:
                yield file
        except FileNotFoundError as error:
            raise StoreError(f"no study {key} in {self.path}") from error

    def _layout(self, file: h5py.File, key: str, view: View | str) -> _published.Layout:
        found, _ = _published.layouts(file)
        if view_of(view) not in found:
            raise no_view(key, view, found)
        return found[view_of(view)]

    def _layouts(self, key: str) -> dict[View, _published.Layout] | None:
        with self._reading(key) as file:
            return None if _study_file.is_study_file(file) else _published.layouts(file)[0]

    def load(self, key: str, view: View) -> npt.NDArray[Any]:
        """All frames of a view: (slice, time, row, col)."""
        with self._reading(key) as file:
            if _study_file.is_study_file(file):
                values: npt.NDArray[Any] = file[f"{view.value}/frames"][()]
                return values
            layout = self._layout(file, key, view)
            dataset = file[layout.name]
            return np.stack([_published.read_plane(dataset, layout, plane) for plane in range(len(layout.planes))])


@dataclass(frozen=True)
class _StoredFrames:
    """`LazyFrames` of a stored view."""

    store: StudyStore
    key: str
    view: View
    shape: tuple[int, int, int, int]

    def load(self) -> npt.NDArray[Any]:
        return self.store.load(self.key, self.view)
