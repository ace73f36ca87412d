"""A card for a CineMA model that was built from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cardiolens.models.card import Card, Licence
from cardiolens.models.cinema_sizes import grid_transform
from cardiolens.models.registry import MODELS, ModelEntry

_TELLING = ("width", "layers", "patches", "stem_channels", "channels", "widths")  # what tells one size from another


def fresh_card(architecture: Mapping[str, Any]) -> Card | None:
    """The card of an untrained model: name and pixel spacing of the registry's entry of its size.

    Args:
        architecture: as in a card, with `family`.

    Returns:
        None where no entry has this size; such a model needs a card by hand before it is saved.
    """
    entry = next((entry for entry in MODELS.values() if _is_like(entry, architecture)), None)
    if entry is None:
        return None
    spacing = next(iter(entry.transform["views"].values()))["spacing_mm"][0]
    return Card(
        name=entry.name,
        architecture=dict(architecture),
        transform=grid_transform(spacing, _network(architecture)["views"]),
        licence=Licence(weights="none: untrained", data="none: untrained"),
        notes=["untrained: random weights; its output means nothing"],
    )


def _network(architecture: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings that hold the views: the encoder's, or a baseline's own."""
    found: Mapping[str, Any] = architecture.get("encoder", architecture)
    return found


def _is_like(entry: ModelEntry, architecture: Mapping[str, Any]) -> bool:
    if entry.family != architecture["family"]:
        return False
    wanted, have = _network(entry.architecture), _network(architecture)
    return all(tuple(_row(have[key])) == tuple(_row(wanted[key])) for key in _TELLING if key in wanted)


def _row(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


def note_start(card: Card | None, start: Card | None) -> None:
    """Say in the card of a model with untrained heads where its encoder comes from, and take over how images lie."""
    if card is None or start is None:
        return
    card.transform = card.transform | {key: value for key, value in start.transform.items() if key != "views"}
    if any(note.startswith("untrained") for note in start.notes):
        return
    card.notes = [f"encoder of {start.full_name} ({start.source or 'trained'}); heads untrained: random weights"]
    card.licence = start.licence.model_copy()
    card.provenance = {"start": dict(start.provenance)}
