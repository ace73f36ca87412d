"""Findings of the left ventricle, and what late enhancement and mapping show of its muscle."""

from __future__ import annotations

from cardiolens.phantom.report import phrases as say
from cardiolens.phantom.report import phrases_rest as rest
from cardiolens.phantom.report.facts import Claim
from cardiolens.phantom.report.meaning import Meaning, walls_of
from cardiolens.phantom.report.scribe import Line, Scribe, walls_named

_DESCRIBED_BY_SCAR = {
    "subendocardial": ("ischemic cardiomyopathy",),
    "mid-wall": ("non-ischemic cardiomyopathy", "hypertrophic cardiomyopathy", "sarcoidosis"),
    "subepicardial": ("myocarditis", "sarcoidosis"),
    "patchy": ("sarcoidosis", "hypertrophic cardiomyopathy", "myocarditis"),
    "diffuse": ("amyloidosis",),
}


def left_ventricle(scribe: Scribe) -> list[Line]:
    """Size, function (in several words), walls and motion."""
    m = scribe.meaning
    size = scribe.sized("left ventricular dilation", m.lv_size)
    lines = [scribe.line(say.LV_SIZE, size)]
    if scribe.manner.numbers:
        lines.append(scribe.line(say.LV_FUNCTION_NUMBER))
        lines += scribe.maybe(0.8, say.LV_VOLUMES)
        lines += [scribe.line((t,)) for t in scribe.choose(say.LV_FUNCTION_WORDS, 1 + int(scribe.chance(0.8)))]
        lines += scribe.maybe(0.3, say.LV_LONG_AXIS)
        lines += scribe.maybe(0.25, say.MASS)
    else:
        lines += [scribe.line((t,)) for t in scribe.choose(say.LV_FUNCTION_WORDS, 3)]
    lines += _walls(scribe) + _motion(scribe) + _shape(scribe)
    if scribe.chance(0.3):
        lines = [lines[i] for i in scribe.rng.permutation(len(lines))]
    return lines


def tissue(scribe: Scribe) -> list[Line]:
    """Late enhancement where contrast was given, oedema and T1."""
    m, t = scribe.meaning, scribe.parameters.tissue
    elsewhere = bool(scribe.parameters.masses) or "pericarditis" in scribe.has  # what may enhance beside the muscle
    lines: list[Line] = []
    if not scribe.contrast:
        lines += scribe.maybe(0.3, rest.NO_CONTRAST)
    elif m.scarred:
        described = scribe.shows("described", *_DESCRIBED_BY_SCAR[t.scar_pattern])
        lines.append(
            scribe.line(
                rest.LGE[t.scar_pattern], described, scarred=walls_named(m.scarred), extent=f"{5 * round(m.extent / 5)}"
            )
        )
    elif not any(t.scar):
        lines += scribe.maybe(0.85, rest.LGE_NONE[2:] if elsewhere else rest.LGE_NONE)
    if m.swollen:
        described = scribe.shows("described", "myocarditis")
        lines += scribe.maybe(0.85, rest.EDEMA, described, swollen=walls_named(m.swollen))
    elif not any(t.edema):
        lines += scribe.maybe(0.12, rest.NO_EDEMA)
    if t.t1_shift_ms >= 30:
        degree = "markedly" if t.t1_shift_ms >= 100 else "mildly"
        lines += scribe.maybe(0.5, rest.T1_LONG, scribe.shows("described", "amyloidosis"), t1_degree=degree)
    elif t.t1_shift_ms <= -40:
        lines += scribe.maybe(0.5, rest.T1_SHORT)
    elif abs(t.t1_shift_ms) < 15 and t.t2_shift_ms < 2 and not any(t.scar):
        lines += scribe.maybe(0.08, rest.T1_NORMAL)
    return lines


def motion_words(meaning: Meaning, noun: bool) -> str:
    """ "akinesis of the anterior wall and apex and hypokinesis of the inferior wall", or with adjectives."""
    parts = []
    for name, adjective, walls in (
        ("akinesis", "akinetic", meaning.akinetic),
        ("hypokinesis", "hypokinetic", meaning.hypokinetic),
    ):
        if walls:
            parts.append(f"{name} of the {walls_named(walls)}" if noun else f"{adjective} {walls_named(walls)}")
    return " and ".join(parts)


def _walls(scribe: Scribe) -> list[Line]:
    m = scribe.meaning
    templates = {
        "none": say.WALL_NORMAL,
        "concentric": say.WALL_CONCENTRIC,
        "asymmetric septal": say.WALL_SEPTAL,
        "apical": say.WALL_APICAL,
    }[m.pattern]
    claims = scribe.sized("left ventricular hypertrophy", m.wall)
    if m.pattern in ("asymmetric septal", "apical"):
        claims += scribe.shows("described", "hypertrophic cardiomyopathy")
    return [scribe.line(templates, claims)]


def _motion(scribe: Scribe) -> list[Line]:
    m = scribe.meaning
    if m.motion == "normal":
        return [scribe.line(say.MOTION_NORMAL)]
    if m.motion == "global":
        return [scribe.line(say.MOTION_GLOBAL, scribe.shows("described", "non-ischemic cardiomyopathy"))]
    described = scribe.shows("described", "ischemic cardiomyopathy")
    lines = [scribe.line(say.MOTION_REGIONAL, described, motion=motion_words(m, scribe.chance(0.5)))]
    thin = min(scribe.parameters.segment_thickness) < 0.75 and bool(m.akinetic)
    return lines + (scribe.maybe(0.5, say.THINNED) if thin else [])


def _shape(scribe: Scribe) -> list[Line]:
    """What bulges or is spongy."""
    p = scribe.parameters
    lines: list[Line] = []
    if p.aneurysm_mm >= 2:
        site = "apex" if p.aneurysm_segment >= 13 else walls_named(walls_of((p.aneurysm_segment,))[:1])
        lines.append(scribe.line(say.ANEURYSM, aneurysm_site=site))
    if p.noncompacted_mm >= 2:
        claims: tuple[Claim, ...] = scribe.shows("described", "left ventricular non-compaction")
        lines.append(scribe.line(say.NONCOMPACTED, claims))
    return lines
