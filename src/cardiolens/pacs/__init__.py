"""The archive: a DICOM node that takes studies in and sends results back, and a reader of DICOMweb servers."""

from importlib.util import find_spec

from cardiolens.errors import InputError


def need(module: str) -> None:
    """Raise `InputError` where a package of the extra `pacs` is not installed."""
    if find_spec(module) is None:
        raise InputError(f"{module} is not installed; install it with: pip install 'cardiolens[pacs]'")
