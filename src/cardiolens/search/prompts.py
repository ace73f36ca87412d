"""Sentences for zero-shot reading as data (`data/prompts.yaml`): per condition several positive and negative ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cardiolens.errors import InputError
from cardiolens.text.conditions import CONDITIONS

DATA = Path(__file__).with_name("data") / "prompts.yaml"


@dataclass(frozen=True)
class Prompts:
    """Sentences that speak for and against something."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]


def load_prompts(path: Path = DATA) -> Mapping[str, Prompts]:
    """Condition to its sentences.

    The 35 conditions go by the names of their columns in labels.csv, in the paper's order and before any others that a
    group's own table asks for.

    Raises:
        InputError: not such a table; the condition at fault is named.
    """
    import yaml

    if not path.is_file():
        raise InputError(f"{path}: no such table of prompts")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML table ({error})") from error
    if not isinstance(raw, dict) or not raw:
        raise InputError(f"{path}: not a table of conditions, each with `positive` and `negative` sentences")
    columns = {condition.name: condition.column for condition in CONDITIONS}
    found = {columns.get(str(name), str(name)): _prompts(path, str(name), entry) for name, entry in raw.items()}
    if len(found) < len(raw):
        raise InputError(f"{path}: a condition stands there twice, by its name and by its column")
    ordered = [*(c.column for c in CONDITIONS if c.column in found), *found]
    return MappingProxyType({name: found[name] for name in dict.fromkeys(ordered)})


def prompts_hash(prompts: Mapping[str, Prompts]) -> str:
    """SHA-256 over all sentences, first 16 hex digits."""
    text = json.dumps({name: [p.positive, p.negative] for name, p in prompts.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _prompts(path: Path, name: str, entry: Any) -> Prompts:
    sides = []
    for side in ("positive", "negative"):
        sentences = entry.get(side) if isinstance(entry, dict) else None
        if not isinstance(sentences, list) or not sentences:
            raise InputError(f"{path}: {name} needs a list of `{side}` sentences")
        wrong = [text for text in sentences if not isinstance(text, str) or not text.strip()]
        if wrong:
            raise InputError(f"{path}: {name}, {side}: {wrong[0]!r} is no sentence; put quotes round it")
        sides.append(tuple(sentences))
    unknown = set(entry) - {"positive", "negative"}
    if unknown:
        raise InputError(f"{path}: {name} has unknown entries {sorted(map(str, unknown))}")
    return Prompts(*sides)
