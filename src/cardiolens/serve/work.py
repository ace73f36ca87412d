"""What jobs do: read, draw, embed, lay out the map, bring in an upload."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardiolens.errors import CardiolensError, InputError, ReadError
from cardiolens.serve.jobs import Closing, Tell, Worker
from cardiolens.store import StudyStore
from cardiolens.store.atomic import DiskError

if TYPE_CHECKING:
    from cardiolens.serve.desk import Desk

log = logging.getLogger(__name__)

_FILE = re.compile(r"\S*/\S*|\S+\.(?:dcm|nii|gz|zip|tar|h5|ima)\b", re.IGNORECASE)
_NAMED = 3  # failures named in a message


def workers_of(desk: Desk) -> dict[str, Worker]:
    """Kind of work to what does it."""
    return {
        "predict": lambda asked, tell: predict(desk, asked, tell),
        "segment": lambda asked, tell: segment(desk, asked, tell),
        "embed": lambda asked, tell: embed(desk, tell),
        "map": lambda asked, tell: lay_out(desk, asked, tell),
        "upload": lambda asked, tell: upload(desk, asked, tell),
    }


def predict(desk: Desk, asked: Mapping[str, Any], tell: Tell) -> tuple[str, Mapping[str, Any]]:
    """Read studies with the video model; what was read before is not computed again."""
    return _each(desk, asked, tell, "read", lambda key, _: _predict(desk, key))


def segment(desk: Desk, asked: Mapping[str, Any], tell: Tell) -> tuple[str, Mapping[str, Any]]:
    """Draw the contours of studies; what was drawn before is not drawn again."""
    if desk.engines.segmenter is None:
        raise InputError(desk.engines.no_segmenter)
    return _each(desk, asked, tell, "drawn", lambda key, inner: _draw(desk, key, inner))


def _predict(desk: Desk, key: str) -> None:
    content = desk.content(key)
    desk.results.predict(desk.store.read(key), content, lambda: desk.unchanged(key, content))


def _draw(desk: Desk, key: str, tell: Tell) -> None:
    content = desk.content(key)
    result = desk.results.draw(desk.store.read(key), content, tell, lambda: desk.unchanged(key, content))
    if desk.edited(key).live:  # the work-list shows what people corrected, not what was first drawn
        result = desk.contours(key) or result
    desk.results.put_contours(key, content, result)


def _each(desk: Desk, asked: Mapping[str, Any], tell: Tell, done_word: str, do: Any) -> tuple[str, Mapping[str, Any]]:
    """Do the same to each study; one that fails is told, the others go on.  A full disk ends it."""
    keys = [key for key in _keys(asked) if key in desk.store]
    if not keys:
        raise InputError("none of these studies is in the store any more")
    failed: dict[str, str] = {}
    for number, key in enumerate(keys):
        label = f"{number + 1} of {len(keys)}" if len(keys) > 1 else ""

        def inner(what: str, done: int, total: int, label: str = label, number: int = number) -> None:
            words = ", ".join(filter(None, (label, what)))
            tell(words, *((number, len(keys)) if len(keys) > 1 else (done, total)))

        inner("", 0, 1)
        try:
            do(key, inner)
        except DiskError:
            raise
        except CardiolensError as error:
            failed[key] = str(error)
    if len(failed) == len(keys):
        raise ReadError(next(iter(failed.values())) if len(keys) == 1 else f"no study could be {done_word}: "
                        + "; ".join(list(failed.values())[:_NAMED]))  # fmt: skip
    tell("", len(keys), len(keys))
    words = f"{len(keys) - len(failed)} {'study' if len(keys) - len(failed) == 1 else 'studies'} {done_word}"
    if failed:
        words += f", {len(failed)} not: " + "; ".join(f"{key}: {why}" for key, why in list(failed.items())[:_NAMED])
    return words, {"keys": [key for key in keys if key not in failed], "failed": failed}


def _keys(asked: Mapping[str, Any]) -> Sequence[str]:
    return [str(key) for key in asked.get("keys", ())]


def embed(desk: Desk, tell: Tell) -> tuple[str, Mapping[str, Any]]:
    """Make the index of the store, or bring it up to date; features are kept a study at a time."""
    from cardiolens.search import EmbeddingIndex, embed_store

    path, previous = desk.index_path, None
    if path.is_file():
        try:
            previous = EmbeddingIndex.load(path)
        except InputError as error:
            log.warning("the index is made anew: %s", error)
    index = embed_store(
        desk.engines.model,
        desk.store,
        folder=desk.settings.work / "features",
        previous=previous,
        progress=lambda key, done, total: tell("Embedding studies", done, total),
    )
    index.save(path)
    skipped = len(index.meta.get("skipped", {}))
    words = f"{len(index.studies)} studies can be searched"
    return words + (f"; {skipped} could not be read" if skipped else ""), {"studies": len(index.studies)}


def lay_out(desk: Desk, asked: Mapping[str, Any], tell: Tell) -> tuple[str, Mapping[str, Any]]:
    """Places of the studies on the map, kept beside the index."""
    from cardiolens.serve.cohort import make_places

    tell("Laying out the map", 0, 0)
    places = make_places(desk, str(asked.get("method", "")))
    return f"Map of {len(places['keys'])} studies by {places['method_words']}", {"method": places["method"]}


def upload(desk: Desk, asked: Mapping[str, Any], tell: Tell) -> tuple[str, Mapping[str, Any]]:
    """Bring an archive into the store under pseudonyms, then have its studies read and drawn; the archive is removed.

    It is read into a store of its own first, so that a study that is there already is never replaced.
    """
    from cardiolens.ingest import ingest

    path = desk.settings.work / "uploads" / str(asked["file"])
    if not path.is_file():
        raise ReadError("the uploaded archive is gone; upload it again")
    tell("Looking for studies in the archive", 0, 0)
    aside = path.with_suffix(".store")
    try:
        found = ingest(
            [path], aside, workers=1, progress=lambda what, done, total: tell(what.capitalize(), done, total)
        )
        keys, refused = _bring(desk, StudyStore(aside), [record.key for record in found.records if record.key])
    except Closing:
        raise  # the archive stays: it is read at the next start
    except BaseException as error:  # stopped and failed ones too: it holds patients' names
        path.unlink(missing_ok=True)
        if isinstance(error, CardiolensError) and not isinstance(error, DiskError):
            raise ReadError(_plain(str(error), path)) from error
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    path.unlink(missing_ok=True)
    refused += [_plain(record.reason, path) for record in found.records if record.reason]
    if not keys:
        raise ReadError("nothing was brought in: " + ("; ".join(refused[:_NAMED]) or "no cine found in the archive"))
    follow = [desk.jobs.add("predict", {"keys": keys}).id]
    if desk.engines.segmenter is not None:
        follow.append(desk.jobs.add("segment", {"keys": keys}).id)
    words = f"{len(keys)} {'study' if len(keys) == 1 else 'studies'} brought in under pseudonyms; reading follows"
    return words + (f". Not used: {'; '.join(refused[:_NAMED])}" if refused else ""), {"keys": keys, "follow": follow}


def _bring(desk: Desk, aside: StudyStore, found: Sequence[str]) -> tuple[list[str], list[str]]:
    """Copy new studies into the store; keys that are there now, and why others were not taken."""
    keys, refused = [], []
    store = StudyStore(desk.store.path, mode="a")
    for key in found:
        if key not in store:
            store.write(aside.read(key), key=key)
        elif store.hash_of(key) != aside.hash_of(key):
            refused.append(f"{key} is in the store already with other images or data, and is not replaced")
            continue
        keys.append(key)
    aside.close()
    store.close()
    desk.catalogue.refresh()
    for key in keys:
        desk.catalogue.facts(key, fresh=True)
    return keys, refused


def _plain(reason: str, path: Path) -> str:
    """A reason without paths and file names: they are the server's own, or may be patients' names."""
    words = reason.replace(f"{path}", "the archive").replace(path.name, "the archive")
    return _FILE.sub("[file]", words)
