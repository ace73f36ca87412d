"""Write the table of the phantom's parameters from the code: docs/reference/phantom_parameters.md.

python examples/phantom_parameters.py --write

Without --write the page is printed.  Ranges are read from the error that a value outside them raises, so the page
cannot say another limit than the code checks.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cardiolens.errors import PhantomError
from cardiolens.phantom.disease.enrichment import SHARES
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.heart.parts import SURGERIES, Mass, Septa, Surgery, Tissue, Valves, Vessels
from cardiolens.phantom.persons.covariates import EFFECTS
from cardiolens.phantom.persons.followup import BASELINE_5_YEARS, HAZARDS, LONGEST_YEARS, SHORTEST_YEARS, WEIBULL_SHAPE
from cardiolens.phantom.persons.population import HEALTHY, POPULATIONS, RISKS, TRAITS, Figure
from cardiolens.text.conditions import CONDITION_NAMES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "phantom_parameters.md"
THINGS: tuple[Any, ...] = (
    HeartParameters(),
    Valves(),
    Vessels(),
    Septa(),
    Tissue(),
    Mass(kind="thrombus", site="LV apex", size_mm=20.0),
    Surgery(),
)
PARTS = {"valves": "Valves", "vessels": "Vessels", "septa": "Septa", "tissue": "Tissue", "surgery": "Surgery"}
PER_M2 = {"lv_edv_ml": "lv_edvi", "rv_edv_ml": "rv_edvi", "la_max_ml": "la_index"}
CHOICE = "package choice"
RANGES = {
    "body_seed": "any integer",
    "conditions": "the 35 of `cardiolens.text.conditions`",
    "severities": "0 to 1 each",
    "masses": "any number of `Mass`",
    "kinds": "of " + ", ".join(SURGERIES),
}
NOTES: dict[str, tuple[str, str]] = {
    "age": ("by population", "see Populations"),
    "sex": ("by population", "see Populations"),
    "height_cm": ("F 163 ± 6, M 176 ± 7", "UK Biobank: Petersen et al., PLoS One 2017;12:e0185114"),
    "weight_kg": ("by height and BMI", "see Populations"),
    "lv_length_mm": ("94 (EDV / 160 ml)^1/3 ± 4 %", CHOICE),
    "segment_thickness": ("1 ± 0.04", CHOICE),
    "segment_motion": ("1 ± 0.04", CHOICE),
    "ra_max_ml": ("(1.12 ± 0.15) × left atrium", CHOICE),
    "axis_left_deg": ("43 ± 5", CHOICE),
    "axis_down_deg": ("23 ± 6", CHOICE),
    "roll_deg": ("0 ± 5", CHOICE),
    "body_seed": ("random", CHOICE),
    "rhythm": ("sinus", CHOICE),
    "conditions": ("normal", "Shad et al., 35 diagnoses"),
    "severities": ("0", CHOICE),
    "masses": ("none", CHOICE),
    "aneurysm_segment": ("17", "segments: Cerqueira et al., Circulation 2002;105:539"),
    "effusion_mm": ("0", "graded after Klein et al., J Am Soc Echocardiogr 2013;26:965"),
}
INTRO = """# Parameters of the phantom

Every number that makes a phantom heart, where it may lie, what it is in health, and where that is from.  Written by
`examples/phantom_parameters.py --write` from the code; the meaning of each field is in the docstrings of
`cardiolens.phantom.heart.parameters` and `cardiolens.phantom.heart.parts`.

A range is what the class accepts: wide enough for severe disease, and this package's choice.  Beyond it the class
raises `PhantomError`.  "Package choice" means that the figure is plausible and nobody's measurement.
"""
COVARIATES = """## Effects of covariates

A healthy heart is drawn as: the mean of its sex (above), plus the person's effects (`covariates.effects_on`), plus a
random residual of the stated SD.  Each covariate is 0 in the reference person: `age` counts years from 60, `bmi` kg/m²
from 26, the rest are 0 or 1; `not_white` is every group but White.  So ordinary least squares with these covariates and
sex, on a cohort of healthy hearts, is the true model and finds this table again
(`tests/phantom/persons/test_covariates.py`).

Cautions:

- A cohort selected for the *label* "normal" is selected by the outcome: that label asks for an LVEF of 52 % or more.
  This shrinks the coefficients of LVEF by about a fifth.  Draw from a population with no main disease instead, such as
  `dataclasses.replace(POPULATIONS["biobank"], prevalence={"normal": 1.0})`.
- In diseased hearts the disease comes after the covariates and adds to them or overrides them.  Atrial fibrillation, a
  minor finding that comes with age, adds to the effect of age on the atria.
- Published effects are small.  To find that of diabetes on LVEF (-1.33 points, residual SD 5) in four of five cohorts
  takes about 220 persons with diabetes and as many without.

The rows "planted for fairness" make a disparity ratio between White and other persons that
`covariates.disparity_ratio` computes exactly; nothing is claimed about people.
"""
HAZARD_TEXT = """## Follow-up

Two events by proportional hazards with a Weibull baseline (shape {shape:g}).  The reference person, a woman of 60 years
and BMI 26 without any trait, LVEF 60 % and GLS 13 %, has a probability within five years of {death:g} % to die and of
{failure:g} % to be diagnosed with heart failure (package choice).  The study ends {short:g} to {long:g} years after the
scan, uniformly; nobody is lost before.  A Cox model with these covariates is the true one and finds this table again
(`tests/phantom/persons/test_followup.py`).
"""


ENRICHED = """## Enriched cohorts

Of {total} patients of a cohort with `--enrich 1`, so many are dealt each condition for certain.  Those that come along
with others (most patients with amyloid have a thick wall and large atria) are dealt to few, and each condition is
expected in 20 or more.  A smaller share deals the same mixture to that share of the patients (`disease.enrichment`;
package choice).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} instead of printing it")
    if parser.parse_args().write:
        PAGE.write_text(page(), encoding="utf-8")
        print(PAGE)
    else:
        print(page())


def page() -> str:
    """The whole page."""
    sections = [INTRO]
    for thing in THINGS:
        sections.append(f"## {type(thing).__name__}\n")
        sections.append(table(("field", "range", "healthy", "source"), [field_row(thing, f) for f in fields_of(thing)]))
    sections += ["## Healthy figures\n", "At 60 years and BMI 26; mean ± SD.\n", table(*healthy_rows())]
    sections += [COVARIATES, table(*effect_rows()), hazard_text(), table(*hazard_rows())]
    sections += ["## Populations\n", table(*people_rows())]
    sections += ["Log odds of the traits, by year from 60, by kg/m² from 26, and by group (package choice):\n"]
    sections += [table(*risk_rows()), "Share of each condition as the main disease, in percent (package choice):\n"]
    sections += [table(*prevalence_rows()), ENRICHED.format(total=sum(SHARES.values())), table(*dealt_rows())]
    return "\n".join(sections)


def fields_of(thing: Any) -> list[str]:
    """Names of the fields of a dataclass instance."""
    return [f.name for f in dataclasses.fields(thing)]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def field_row(thing: Any, name: str) -> tuple[str, str, str, str]:
    """One field of a heart or a part of it."""
    if isinstance(thing, HeartParameters) and name in PARTS:
        return f"`{name}`", f"a `{PARTS[name]}`, below", "", ""
    healthy, source = healthy_of(thing, name)
    return f"`{name}`", RANGES.get(name) or range_of(thing, name), healthy, source


def range_of(thing: Any, name: str) -> str:
    """What the field accepts, from the error that something absurd raises."""
    value = getattr(thing, name)
    if isinstance(value, bool):
        return "yes or no"
    absurd = "?" if isinstance(value, str) else (float("nan"),) * len(value) if isinstance(value, tuple) else -1e9
    try:
        dataclasses.replace(thing, **{name: absurd})
    except PhantomError as error:
        found = re.search(rf"{name} must (?:lie in |be one of |be )(.*), got ", str(error))
        if found:
            return found[1].replace("''", "none").replace("'", "")
    raise PhantomError(f"{type(thing).__name__}.{name} accepts {absurd!r}: describe its range in RANGES")


def healthy_of(thing: Any, name: str) -> tuple[str, str]:
    """Mean and SD of a field in health, and the source."""
    if isinstance(thing, Mass):
        return "none", CHOICE
    key = PER_M2.get(name, name)
    if key in HEALTHY:
        figure = HEALTHY[key]
        per = " ml/m²" if name in PER_M2 else ""
        return f"{spread(figure)}{per}", figure.source
    if name in NOTES:
        return NOTES[name]
    value = getattr(thing, name)
    if isinstance(value, bool):
        return "no", CHOICE
    if isinstance(value, tuple):
        return (f"{value[0]:g} each" if value else "none"), CHOICE
    return (value or "none") if isinstance(value, str) else f"{value:g}", CHOICE


def spread(figure: Figure) -> str:
    """F and M, or one figure where they are alike."""
    texts = {sex: f"{figure.mean[sex]:g} ± {figure.sd[sex]:g}" for sex in ("F", "M")}
    return texts["F"] if texts["F"] == texts["M"] else f"F {texts['F']}, M {texts['M']}"


def healthy_rows() -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """`population.HEALTHY`."""
    head = ("figure", "women", "men", "unit", "source")
    return head, [
        (f"`{name}`", *(f"{f.mean[s]:g} ± {f.sd[s]:g}" for s in ("F", "M")), f.unit, f.source)
        for name, f in HEALTHY.items()
    ]


def effect_rows() -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """`covariates.EFFECTS`."""
    head = ("outcome", "unit", "covariate", "coefficient", "source")
    return head, [
        (f"`{e.outcome}`", HEALTHY[e.outcome].unit, f"`{e.covariate}`", f"{e.coefficient:+g}", e.source)
        for e in EFFECTS
    ]


def hazard_text() -> str:
    """The paragraph above the table of hazards."""
    death, failure = (100.0 * BASELINE_5_YEARS[event] for event in ("death", "heart failure"))
    return HAZARD_TEXT.format(
        shape=WEIBULL_SHAPE, death=death, failure=failure, short=SHORTEST_YEARS, long=LONGEST_YEARS
    )


def hazard_rows() -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """`followup.HAZARDS`."""
    head = ("event", "covariate", "log hazard ratio", "source")
    return head, [(h.event, f"`{h.covariate}`", f"{h.log_hazard_ratio:+g}", h.source) for h in HAZARDS]


def people_rows() -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Who comes, by population."""
    head = ("population", "age", "women", "BMI", "White", *TRAITS)
    rows = []
    for name, p in POPULATIONS.items():
        white = p.ethnic_mix["White"] / sum(p.ethnic_mix.values())
        traits = [f"{100 * getattr(p, trait):g} %" for trait in TRAITS]
        age = f"{p.age_mean:g} ± {p.age_sd:g}, {p.age_low:g} to {p.age_high:g}"
        rows.append(
            (
                name,
                age,
                f"{100 * p.female_share:g} %",
                f"{p.bmi_mean:g} ± {p.bmi_sd:g}",
                f"{100 * white:.1f} %",
                *traits,
            )
        )
    return head, rows


def risk_rows() -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """`population.RISKS`."""
    names = list(dict.fromkeys(name for risks in RISKS.values() for name in risks))
    return ("trait", *names), [
        (trait, *(f"{r[n]:+g}" if r.get(n) else "" for n in names)) for trait, r in RISKS.items()
    ]


def prevalence_rows() -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Main diseases, by population."""
    rows = []
    for condition in CONDITION_NAMES:
        shares = [100 * p.share(condition) for p in POPULATIONS.values()]
        rows.append((condition, *(f"{share:.2g}" if share else "" for share in shares)))
    return ("condition", *POPULATIONS), rows


def dealt_rows() -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """`enrichment.SHARES`."""
    return ("condition", "patients"), [(name, str(SHARES[name])) for name in CONDITION_NAMES]


if __name__ == "__main__":
    main()
