"""Cine piles of a study → at most one stack a view, and a finding for every pile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cardiolens.dicom import kind
from cardiolens.dicom.findings import SeriesFinding
from cardiolens.dicom.series import Pile, normal_of
from cardiolens.dicom.stacks import Stack, assemble, collide, group, parallel
from cardiolens.dicom.views import Candidate, ViewDecision, classify_description, decide_views
from cardiolens.errors import ReadError
from cardiolens.study import View

JOINED_NOTE = "part of a stack of"
_HINTS = ("SequenceName", "PulseSequenceName", "ProtocolName", "ScanningSequence", "SequenceVariant", "ScanOptions")


@dataclass(frozen=True)
class Choice:
    """The stacks to read, by view, and what became of every pile (in the order of the piles)."""

    stacks: dict[View, Stack]
    findings: tuple[SeriesFinding, ...]


def choose(piles: Sequence[Pile], view: View | None = None) -> Choice:
    """Tell cines from the rest, put them together, name their views and keep the best of each.

    Args:
        view: what the only cine shows, for input that does not tell.

    Raises:
        ReadError: `view` is given and there is more than one cine.
    """
    findings = {pile.label: _finding(pile) for pile in piles}
    cines = []
    for pile in piles:
        reason = kind.refusal(pile)
        if reason is None:
            cines.append(pile)
        else:
            findings[pile.label] = findings[pile.label].refused(reason, _tag_evidence(pile))
    stacks = _stacks(cines)
    decided = _join_short_axis(_decide(stacks)) if view is None else _forced(stacks, view)
    chosen = _keep_best(decided, findings)
    return Choice(chosen, _joined_rows(findings.values()))


def _joined_rows(findings: Iterable[SeriesFinding]) -> tuple[SeriesFinding, ...]:
    """Parts of one series refused for one reason (the orientations of a localizer) as one row."""
    rows: dict[object, SeriesFinding] = {}
    for found in findings:
        finding = found
        series = finding.key.split("/")[0]
        key = (series, finding.description, finding.reason) if finding.reason is not None else finding.key
        same = rows.get(key)
        if same is not None:
            finding = replace(
                same,
                n_files=same.n_files + finding.n_files,
                n_planes=same.n_planes + finding.n_planes,
                n_phases=max(same.n_phases, finding.n_phases),
                notes=tuple(dict.fromkeys((*same.notes, *finding.notes))),
            )
        rows[key] = finding
    return tuple(rows.values())


def _finding(pile: Pile) -> SeriesFinding:
    return SeriesFinding(
        key=pile.label,
        number=pile.first.file.series_number,
        description=pile.description,
        n_files=pile.n_files,
        n_planes=len(pile.planes),
        n_phases=pile.n_phases,
        rows=pile.rows,
        cols=pile.cols,
        notes=pile.notes,
    )


def _tag_evidence(pile: Pile) -> tuple[str, ...]:
    file = pile.first.file
    said = ["ImageType " + "\\".join(file.image_type)] if file.image_type else []
    if file.texts["ScanningSequence"]:
        said.append(f"sequence {file.texts['ScanningSequence']} {file.texts['SequenceVariant']}".strip())
    return tuple(said)


def _stacks(cines: Sequence[Pile]) -> list[Stack]:
    named = {pile.label: classify_description(pile.description) for pile in cines}
    long_axis = frozenset(label for label, view in named.items() if view not in (None, View.SAX))
    short_axis = frozenset(label for label, view in named.items() if view is View.SAX)
    return [assemble(part) for part in group(cines, long_axis, short_axis)]


def candidate(stack: Stack) -> Candidate:
    """What the view decision may look at."""
    pile = stack.first
    normal = row = col = centres = field_mm = None
    if pile.spacing is not None:
        field_mm = (pile.rows * pile.spacing[0], pile.cols * pile.spacing[1])
    if pile.orientation is not None:
        row, col, normal = pile.orientation[:3], pile.orientation[3:], normal_of(pile.orientation)
        origins = [timed.plane.origin for timed in stack.planes]
        if pile.spacing is not None and all(origin is not None for origin in origins):
            half = row * pile.spacing[1] * (pile.cols - 1) / 2 + col * pile.spacing[0] * (pile.rows - 1) / 2
            centres = np.array(origins) + half
    texts = pile.first.file.texts
    hints = {name: texts[name] for name in _HINTS if texts[name]} | {"ImageType": "\\".join(pile.first.file.image_type)}
    return Candidate(
        key=stack.label,
        description=stack.first.description,
        normal=normal,
        row_dir=row,
        col_dir=col,
        centres_mm=centres,
        positions_mm=stack.positions_mm,
        n_planes=len(stack.planes),
        n_phases=stack.n_phases,
        field_mm=field_mm,
        hints=hints,
    )


def _decide(stacks: Sequence[Stack]) -> list[tuple[Stack, ViewDecision]]:
    return list(zip(stacks, decide_views([candidate(stack) for stack in stacks]), strict=True)) if stacks else []


def _forced(stacks: Sequence[Stack], view: View) -> list[tuple[Stack, ViewDecision]]:
    if len(stacks) > 1:
        names = ", ".join(stack.name for stack in stacks)
        raise ReadError(
            f"view {view} was given, and there are {len(stacks)} cines: {names}; give one of them at a time"
        )
    decision = ViewDecision(
        view=view, confidence=1.0, evidence=("view given by the caller",), conflict=None, reason=None
    )
    return [(stack, decision) for stack in stacks]


def _join_short_axis(decided: list[tuple[Stack, ViewDecision]]) -> list[tuple[Stack, ViewDecision]]:
    """Put stacks together that only the view decision showed to be parts of one short-axis stack."""
    joined: list[tuple[Stack, ViewDecision]] = []
    for stack, decision in sorted(decided, key=lambda pair: -len(pair[0].planes)):
        if decision.view is View.SAX:
            for index, (other, said) in enumerate(joined):
                if said.view is View.SAX and _apart(stack, other):
                    better = max(decision, said, key=lambda d: d.confidence)
                    joined[index] = (assemble([*other.piles, *stack.piles]), better)
                    break
            else:
                joined.append((stack, decision))
        else:
            joined.append((stack, decision))
    return joined


def _apart(a: Stack, b: Stack) -> bool:
    return all(parallel(p, q) and not collide(p.planes, q.planes) for p in a.piles for q in b.piles)


# What makes one scan of a view better than another, in this order.
_CRITERIA = (
    ("original images", lambda stack, decision: stack.original),
    ("surer view", lambda stack, decision: round(decision.confidence * 4)),
    ("more planes", lambda stack, decision: len(stack.planes) if decision.view is View.SAX else 1),
    ("steady-state sequence", lambda stack, decision: stack.steady_state),
    ("no plane left out", lambda stack, decision: not stack.dropped),
    ("more phases", lambda stack, decision: stack.n_phases),
    ("finer pixels", lambda stack, decision: -round(max(stack.first.spacing or (99.0,)), 1)),
    ("acquired later, as a repeat is", lambda stack, decision: stack.number),
)


def _keep_best(decided: Sequence[tuple[Stack, ViewDecision]], findings: dict[str, SeriesFinding]) -> dict[View, Stack]:
    """Per view the best stack; fills the findings of all."""
    chosen: dict[View, Stack] = {}
    by_view: dict[View, list[tuple[Stack, ViewDecision]]] = {}
    for stack, decision in decided:
        if decision.view is None:
            _refuse(findings, stack, decision.reason or "no standard view by its geometry or description", decision)
        else:
            by_view.setdefault(View(decision.view), []).append((stack, decision))
    for view, rivals in by_view.items():
        ranked = sorted(rivals, key=lambda pair: tuple(rule(*pair) for _, rule in _CRITERIA), reverse=True)
        best, decision = ranked[0]
        chosen[view] = best
        for pile in best.piles:
            notes = [*best.dropped, *best.notes, *([f"conflict: {decision.conflict}"] if decision.conflict else [])]
            if len(best.piles) > 1:
                notes.insert(0, f"{JOINED_NOTE} {len(best.piles)} series")
            said = (*decision.evidence, *kind.evidence(pile))
            findings[pile.label] = findings[pile.label].used_as(view, said, decision.confidence, notes)
        for stack, other in ranked[1:]:
            why = next((name for name, rule in _CRITERIA if rule(stack, other) != rule(best, decision)), "read first")
            _refuse(findings, stack, f"another {view} is kept: {best.name} ({why})", other)
    return chosen


def _refuse(findings: dict[str, SeriesFinding], stack: Stack, reason: str, decision: ViewDecision) -> None:
    said = (*decision.evidence, *([f"conflict: {decision.conflict}"] if decision.conflict else []))
    for pile in stack.piles:
        findings[pile.label] = findings[pile.label].refused(reason, said, decision.confidence)
