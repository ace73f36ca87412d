"""Whether studies were rendered by the phantom, and whether a model learned from such alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardiolens.study import Study

if TYPE_CHECKING:
    from cardiolens.models.card import Card

PHANTOM = "cardiolens phantom"  # what rendered studies have for a manufacturer


def is_rendered(study: Study) -> bool:
    """Whether every cine of a study says that the phantom made it."""
    return bool(study.cines) and all(cine.attributes.get("Manufacturer") == PHANTOM for cine in study.cines)


def only_manufacturer(card: Card) -> str | None:
    """The one source that a model has learned from, as its card says; None where the card names none."""
    if (card.domain or {}).get("manufacturer"):
        return str((card.domain or {})["manufacturer"])
    return PHANTOM if card.provenance.get("phantom") else None


def learned_from_phantom(card: Card) -> bool:
    """Whether a model's figures are those of rendered hearts, by its card."""
    return bool(card.provenance.get("phantom")) or "phantom" in f"{card.tag} {card.source}".lower()
