"""The 35 conditions as data: names, what counts, what does not, severity floors (`data/conditions.yaml`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from cardiolens.errors import InputError
from cardiolens.text.conditions import CONDITION_NAMES, CONDITIONS

DATA = Path(__file__).with_name("data") / "conditions.yaml"
Past = Literal["present", "ignored"]


class Definition(BaseModel):
    """One condition; what each field means stands at the top of the data file."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str
    published: str
    cui: str | None = None
    cui_scope: Literal["same", "broader"] = "same"
    counts: str
    excludes: str
    floor: Literal["any", "mild", "severe"] = "any"
    history: Past = "ignored"
    presupposed: bool = False
    past_by_nature: bool = False
    size_of: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    graded_names: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    excluded_with: tuple[str, ...] = ()

    @field_validator("patterns", "against")
    @classmethod
    def _expressions(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        import re

        for value in values:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"not a regular expression: {value} ({error})") from error
        return values


@lru_cache(maxsize=4)
def load_definitions(path: Path = DATA) -> Mapping[str, Definition]:
    """Condition to definition, in the paper's order; `path` may name a group's own table of the same form.

    Raises:
        InputError: not such a table, a condition that is missing or unknown, an unknown field.
    """
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML table ({error})") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path}: not a table of conditions; the package's own is an example: {DATA.name}")
    missing, unknown = [n for n in CONDITION_NAMES if n not in raw], [n for n in raw if n not in CONDITION_NAMES]
    if missing or unknown:
        raise InputError(f"{path}: conditions missing: {missing or 'none'}; not among the 35: {unknown or 'none'}")
    found = {c.name: _definition(path, c.name, c.published, raw[c.name]) for c in CONDITIONS}
    return MappingProxyType(found)


def _definition(path: Path, name: str, published: str, entry: Any) -> Definition:
    try:
        return Definition(name=name, published=published, **dict(entry))
    except (ValidationError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {name}: {error}") from error


def page() -> str:
    """The reference page of the conditions, in Markdown."""
    lines = [
        "# The 35 conditions",
        "",
        "Made from `src/cardiolens/text/data/conditions.yaml` by `python examples/conditions_page.py --write`; change"
        " that file, not this page.",
        "",
        "The paper gives names only.  Severity is part of two valve labels and size of one effusion label; a prevalence"
        " of 36 % for right ventricular dilation is reached by dilation of any grade only.  All other bounds are this"
        " package's choice.  A UMLS concept stands where a published mapping was found for it; (broader) says that the"
        " concept leaves out a severity or a site.",
        "",
    ]
    for definition in load_definitions().values():
        lines += _entry(definition)
    return "\n".join(lines).rstrip() + "\n"


def _entry(d: Definition) -> list[str]:
    cui = f"{d.cui}{' (broader)' if d.cui_scope == 'broader' else ''}" if d.cui else "none verified"
    rows = [
        f"## {d.name}",
        "",
        f'- **In the paper:** "{d.published}".  **UMLS:** {cui}.',
        f"- **Counts:** {d.counts.strip()}",
        f"- **Does not:** {d.excludes.strip()}",
    ]
    if d.floor != "any":
        rows.append(f"- **Least grade that counts:** {d.floor}.")
    rows.append(f"- **A past or repaired one:** {_past(d.history)}")
    names = ", ".join(dict.fromkeys((*d.names, *d.graded_names)))
    if names:
        rows.append(f"- **Names:** {names}.")
    if d.excluded_with:
        rows.append(f"- **Absent where these are denied:** {', '.join(d.excluded_with)}.")
    return [*rows, ""]


def _past(value: Past) -> str:
    return "counts as present." if value == "present" else "says nothing of this scan."
