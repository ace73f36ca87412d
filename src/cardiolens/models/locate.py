"""Where weights lie: an explicit path, the folder CARDIOLENS_WEIGHTS, the package itself, the Hugging Face cache."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cardiolens.errors import CheckpointError
from cardiolens.models.registry import HubWeights, ModelEntry

log = logging.getLogger(__name__)

BUNDLED = Path(__file__).resolve().parents[1] / "weights"
SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".pyth", ".bin")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Located:
    """Weights on disk: `path` is one file, or a folder with a card; and what is known of them."""

    path: Path
    tag: str | None
    source: str
    licence: str | None = None


def weights_folder() -> Path | None:
    """The folder named by CARDIOLENS_WEIGHTS, or None."""
    named = os.environ.get("CARDIOLENS_WEIGHTS")
    return Path(named).expanduser() if named else None


def local_tags(name: str) -> dict[str, Path]:
    """Tags of a model that lie on disk under CARDIOLENS_WEIGHTS/<name>/<tag> or in the package."""
    found: dict[str, Path] = {}
    for root in (weights_folder(), BUNDLED):
        folder = root / name if root is not None else None
        if folder is not None and folder.is_dir():
            for child in sorted(folder.iterdir()):
                if child.is_dir() and not child.name.startswith(".") and _weights_in(child):
                    found.setdefault(child.name, child)
    return found


def locate(entry: ModelEntry, weights: str | Path, *, download: bool) -> Located:
    """Find the weights a user asked for.

    Args:
        weights: a tag of the model, a path, or a hub id such as "rohanshad/cmr_c0.1", tried in this order; a path that
            reads like a tag is written "./tag".
        download: whether the network may be asked when a hub id is not on disk.

    Raises:
        CheckpointError: naming the file to bring and where to put it.
    """
    path = Path(weights).expanduser()
    text = "" if isinstance(weights, Path) else weights
    tags = local_tags(entry.name)
    if text in tags:
        known = entry.hub.get(text)
        return Located(_the_file(tags[text]), text, f"{entry.name}:{text}", known.licence if known else None)
    if text in entry.hub:
        return _from_hub(entry.hub[text], text, entry, download=download)
    if isinstance(weights, Path) or path.exists() or path.is_absolute() or path.suffix in SUFFIXES:
        if not path.exists():
            raise CheckpointError(
                f"{path}: no such weights file or folder; bring the file and give its path (docs/how-to/weights.md)"
            )
        return Located(_the_file(path), None, path.name)
    if _HUB_ID.fullmatch(text):
        published = {tag: hub for tag, hub in entry.hub.items() if hub.hub_id == text}
        if len(published) > 1:
            raise CheckpointError(f"{text} holds several weights for {entry.name}; give a tag: {', '.join(published)}")
        tag, known = next(iter(published.items()), (None, None))
        return _from_hub(known or HubWeights(text, "", ""), tag, entry, download=download)
    raise CheckpointError(
        f"{entry.name} has no weights called {text!r}; there are {', '.join([*tags, *entry.hub]) or 'none here'}. "
        f"Give weights=FILE, or put a checkpoint folder at {_place(f'{entry.name}/{text}')}"
    )


def _from_hub(hub: HubWeights, tag: str | None, entry: ModelEntry, *, download: bool) -> Located:
    root = weights_folder()
    licence = hub.licence or None
    source = f"{hub.hub_id} on the Hugging Face hub" + (f", {hub.file}" if hub.file else "")
    below = f"{hub.hub_id}/{hub.file}" if hub.file else hub.hub_id
    if root is not None and (root / below).exists():
        return Located(_the_file(root / below), tag, source, licence)
    found = _cached_file(hub.hub_id, hub.file) if hub.file else _cached(hub.hub_id)
    if found is None and download:
        found = _downloaded(hub)
    if found is None:
        what = hub.file or "the checkpoint file (.ckpt or .safetensors)"
        raise CheckpointError(
            f"the weights {below} are not on this machine, and nothing is downloaded unasked. Bring {what} from "
            f"https://huggingface.co/{hub.hub_id} and put it {'at' if hub.file else 'into'} {_place(below)}, or give "
            f'its path: load_model("{entry.name}", weights=FILE); '
            "with a network, load_model(..., download=True) fetches it"
        )
    return Located(_the_file(found), tag, source, licence)


def _place(below: str) -> str:
    root = weights_folder()
    return f"{root / below}" if root else f"FOLDER/{below}, with the environment variable CARDIOLENS_WEIGHTS=FOLDER"


def _cached(hub_id: str) -> Path | None:
    """The newest snapshot of a hub id in the local Hugging Face cache; asks no network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError

    try:
        folder = Path(snapshot_download(hub_id, local_files_only=True))
    except (EntryNotFoundError, HFValidationError, OSError) as error:
        log.debug("not in the Hugging Face cache: %s", error)
        return None
    return folder if _weights_in(folder) else None


def _cached_file(hub_id: str, file: str) -> Path | None:
    """One file of a hub id in the local Hugging Face cache; asks no network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub_id, file)
    return Path(found) if isinstance(found, str) else None


def _downloaded(hub: HubWeights) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    patterns = [f"*{suffix}" for suffix in SUFFIXES] + ["card.json", "tokenizer/*"]
    try:
        if hub.file:
            return Path(hf_hub_download(hub.hub_id, hub.file, etag_timeout=10))
        return Path(snapshot_download(hub.hub_id, allow_patterns=patterns, etag_timeout=10))
    except (EntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        raise CheckpointError(
            f"downloading {hub.file or hub.hub_id} failed ({str(error).splitlines()[0]}); bring its checkpoint file by "
            f"hand and put it into {_place(hub.hub_id)}"
        ) from error


def _weights_in(folder: Path) -> list[Path]:
    return sorted(file for file in _files(folder) if file.suffix in SUFFIXES)


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))


def _the_file(path: Path) -> Path:
    """A file as it is; a folder with a card as it is; another folder's one weights file."""
    if path.is_file():
        beside = path.with_name("card.json")
        return path.parent if path.name == "model.safetensors" and beside.is_file() else path
    if (path / "card.json").is_file():
        return path
    found = _weights_in(path)
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise CheckpointError(
            f"{path} should hold one weights file or a card.json, found {names}; name the file itself"
        )
    return found[0]
