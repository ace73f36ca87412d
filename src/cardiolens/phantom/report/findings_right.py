"""Findings of the right ventricle, the atria and both septa."""

from __future__ import annotations

from cardiolens.phantom.report import phrases_right as say
from cardiolens.phantom.report.scribe import Line, Scribe, upper_first

_PRESSURE = ("pulmonary hypertension",)
_ARVC = "arrhythmogenic right ventricular cardiomyopathy"


def right_ventricle(scribe: Scribe) -> list[Line]:
    """Size, function, wall, and signs of load."""
    m, p = scribe.meaning, scribe.parameters
    size = scribe.sized("right ventricular dilation", m.rv_size)
    named = scribe.told.get("right ventricular dilation") == "named" and scribe.chance(0.35)
    lines = [scribe.line(say.RIGHT_VENTRICLE_NAMED if named else say.RIGHT_VENTRICLE, size)]
    lines += scribe.maybe(0.1, say.TAPSE)
    wall = scribe.sized("right ventricular hypertrophy", m.rv_wall)
    if m.rv_wall > 0:
        named = scribe.told.get("right ventricular hypertrophy") == "named" and scribe.chance(0.5)
        lines.append(scribe.line(say.RV_WALL_NAMED if named else say.RV_WALL_THICK, wall))
    else:
        lines += scribe.maybe(0.12, say.RV_WALL_NORMAL, wall)
    if p.rv_bulges >= 0.2:
        lines.append(scribe.line(say.RV_BULGES, scribe.shows("described", _ARVC)))
    if p.tissue.rv_fat >= 0.2:
        lines += scribe.maybe(0.7, say.RV_FAT, scribe.shows("described", _ARVC))
    if m.flat:
        lines += scribe.maybe(0.9, say.FLAT_SEPTUM, scribe.shows("described", *(_PRESSURE if "sys" in m.flat else ())))
    if p.septa.bounce_mm >= 1:
        lines.append(scribe.line(say.BOUNCE, scribe.shows("described", "pericarditis")))
    return lines


def atria(scribe: Scribe) -> list[Line]:
    """Sizes of both atria."""
    m = scribe.meaning
    la, ra = scribe.sized("left atrial dilation", m.la_size), scribe.sized("right atrial dilation", m.ra_size)
    if m.la_size < 1 and m.ra_size < 1 and scribe.chance(0.6):
        return [scribe.line(say.ATRIA_NORMAL, la + ra)]
    names = {s: scribe.told.get(f"{s} atrial dilation") == "named" and scribe.chance(0.4) for s in ("left", "right")}
    if not any(names.values()) and scribe.chance(0.6):
        return [scribe.line(say.ATRIA, la + ra)]
    return [
        scribe.line(say.LEFT_ATRIUM_NAMED if names["left"] else say.LEFT_ATRIUM, la),
        scribe.line(say.RIGHT_ATRIUM_NAMED if names["right"] else say.RIGHT_ATRIUM, ra),
    ]


def septa(scribe: Scribe) -> list[Line]:
    """Thick or fatty atrial septum, and defects."""
    s = scribe.parameters.septa
    lines: list[Line] = []
    if "lipomatous atrial wall" in scribe.has:
        named = scribe.told["lipomatous atrial wall"] == "named" and scribe.chance(0.6)
        claims = scribe.shows("asserted" if named else "described", "lipomatous atrial wall")
        lines.append(scribe.line(say.ATRIAL_FAT_NAMED if named else say.ATRIAL_FAT, claims))
    elif s.atrial_mm >= 6:
        lines.append(scribe.line(say.ATRIAL_THICK, scribe.shows("described", "amyloidosis")))
    defects: tuple[tuple[str, float, tuple[str, ...], tuple[str, ...]], ...] = (
        ("atrial septal defect", s.asd_mm, say.ASD_NAMED, say.ASD_DESCRIBED),
        ("ventricular septal defect", s.vsd_mm, say.VSD_NAMED, say.VSD_DESCRIBED),
    )
    for condition, width, names, descriptions in defects:
        if width > 0:
            named = scribe.told.get(condition) == "named" and scribe.chance(0.6)
            claims = scribe.shows("asserted" if named else "described", condition)
            site = s.vsd_site
            values = {"vsd_site": site, "Vsd_site": upper_first(site)}
            lines.append(scribe.line(names if named else descriptions, claims, **values))
    if not (s.asd_mm or s.vsd_mm):
        intact = scribe.lacks("atrial septal defect", "ventricular septal defect")
        if "septal defect closure" in scribe.parameters.surgery.kinds:
            lines.append(scribe.line(say.CLOSED, intact))
        elif len(intact) == 2:
            lines += scribe.maybe(0.22, say.SEPTA_INTACT, intact)
    if not s.asd_mm and "atrial septal defect" not in scribe.has:
        pfo = scribe.line(say.PFO)
        denied = "defect" in pfo.text or "ASD" in pfo.text
        if scribe.chance(0.03):
            lines.append(Line(pfo.text, scribe.lacks("atrial septal defect") if denied else ()))
    return lines
