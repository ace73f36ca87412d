"""One study by what a user types: STORE/KEY, a DICOM folder, an archive, a NIfTI file."""

from pathlib import Path
from typing import TYPE_CHECKING

from cardiolens.errors import ReadError

if TYPE_CHECKING:
    from cardiolens.store import StudyStore
    from cardiolens.study import Study


def study_or_store(source: Path) -> "StudyStore | tuple[Study, str]":
    """The store, or the study and its pseudonymous key."""
    from cardiolens.store import StudyStore

    held = source if source.suffix == ".h5" else source.with_name(source.name + ".h5")
    if held.is_file():
        held = held.resolve()
        key = f"{held.parent.name}/{held.stem}"
        return StudyStore(held.parents[1]).read(key), key
    if not source.exists():
        if len(source.parents) > 2 and any(source.parents[1].glob("*/*.h5")):
            raise ReadError(f"no study {source.parent.name}/{source.name} in the store {source.parents[1]}")
        raise ReadError(f"{source}: there is nothing of that name; give STORE/KEY, a folder of DICOM, or a store")
    if source.is_dir() and any(source.glob("*/*.h5")):
        return StudyStore(source)
    return _read(source)


def _read(source: Path) -> "tuple[Study, str]":
    from cardiolens.inference import study_hash
    from cardiolens.reading import read_study
    from cardiolens.store import identified

    study = read_study(source)
    if study.patient is None and study.accession is None:
        return study, f"unknown_content/{study_hash(study)[:16]}"
    return identified(study, None)
