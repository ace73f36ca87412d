"""What an exact string match finds in the phantom's reports, and what it takes for a finding.

    python benchmarks/report_string_match.py [--hearts 2000] [--write]

Hearts are drawn by the default population's prevalence, then up to `--least` hearts of each rare condition are added,
so that every row has enough patients.  A match is the condition's name, in any case, within a sentence ("name"), or
any of the names that the report writer knows for it, abbreviations in capitals as whole words ("names").  Every
sentence carries what it claims (`phantom.report.facts`), so the matches can be scored:

  missed      share of the patients with the condition in whose report no sentence matches
  not told    share of the matching sentences that do not say it is there: they exclude it, hedge it, ask for it, give
              it as family or past history, or say something else
  wrong       share of the patients with a match who do not have the condition, among the hearts drawn by prevalence

"missed" is over all hearts with the condition, the other two over the hearts drawn by prevalence.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from itertools import product
from pathlib import Path

import numpy as np
from report_hearts import hearts

from cardiolens.phantom.report import Report, compose_report
from cardiolens.phantom.report.diagnoses import DIAGNOSES, PLAIN
from cardiolens.phantom.report.phrases_rest import SURGERY
from cardiolens.phantom.truth import truth_of
from cardiolens.text.conditions import CONDITION_NAMES, NORMAL

TABLE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "report_string_match.md"
WAYS = ("name", "names")
TOLD = ("asserted", "described")
VALUES: dict[str, tuple[str, ...]] = {  # of the fields in the writer's names
    "dcm": ("dilated cardiomyopathy", "non-ischemic LV dysfunction"),
    "dcm_short": ("DCM", "NICM"),
    "hcm_pattern": ("asymmetric septal", "apical", "concentric"),
    "obstruction": ("obstructive", "non-obstructive", "mild"),
    "constriction": ("constrictive", "acute", "chronic"),
    "mass_kind": ("cyst", "lipoma", "vegetation"),
    "myxoma_side": ("left", "right"),
    "thrombus_site": ("LV apical", "LV", "left atrial appendage", "right atrial", "RV"),
    "prosthesis": ("aortic", "mitral"),
    "prosthesis_kind": ("mechanical", "bioprosthetic"),
    "prosthesis_abbreviation": ("AVR", "MVR"),
    "repaired": ("repaired", "unrepaired"),
    "vsd_site": ("perimembranous", "outlet", "muscular"),
    "surgery": tuple(
        words for (choices,) in SURGERY.values() for words in choices.strip("[]").split("|") if "{" not in words
    ),
}


@dataclass
class Score:
    """Counts of one condition and one way of matching."""

    patients: int = 0
    missed: int = 0
    sentences: Counter[str] = field(default_factory=Counter)
    caught: int = 0
    wrong: int = 0


def matchers() -> dict[str, tuple[re.Pattern[str], re.Pattern[str]]]:
    """Condition to its name and to all of its names."""
    return {name: (re.compile(re.escape(name), re.IGNORECASE), _any_of(_names(name))) for name in CONDITION_NAMES}


def _names(condition: str) -> list[str]:
    """With every value that a name may hold put in; the longest first."""
    found = {condition}
    for template in (*DIAGNOSES[condition].names, *PLAIN.get(condition, ())):
        fields = re.findall(r"{(\w+)}", template)
        for values in product(*(VALUES[f] for f in fields)):
            found.add(template.format(**dict(zip(fields, values, strict=True))))
    return sorted(found, key=len, reverse=True)


def _any_of(names: list[str]) -> re.Pattern[str]:
    parts = [rf"\b{n}\b" if n.isupper() else f"(?i:{re.escape(n)})" for n in names]
    return re.compile("|".join(parts))


def score(count: int, least: int, seed: int) -> dict[str, tuple[Score, Score]]:
    """Condition to its score by name and by all names."""
    scores = {name: (Score(), Score()) for name in CONDITION_NAMES}
    patterns = matchers()
    for index, (parameters, by_prevalence) in enumerate(hearts(count, least, seed)):
        report = compose_report(parameters, truth_of(parameters), np.random.default_rng([seed, 1, index]))
        for condition, ways in scores.items():
            for way, pattern in zip(ways, patterns[condition], strict=True):
                add(way, pattern, report, condition, condition in parameters.conditions, by_prevalence)
    return scores


def add(way: Score, pattern: re.Pattern[str], report: Report, condition: str, has: bool, by_prevalence: bool) -> None:
    """One report into one score."""
    matched = [sentence for sentence in report.sentences if pattern.search(sentence.text)]
    way.patients += has
    way.missed += has and not matched
    if by_prevalence:
        way.caught += bool(matched)
        way.wrong += bool(matched) and not has
        for sentence in matched:
            statuses = [claim.status for claim in sentence.claims if claim.condition == condition]
            way.sentences[next((s for s in (*TOLD, *statuses) if s in statuses), "something else")] += 1


def rows(scores: dict[str, tuple[Score, Score]]) -> list[str]:
    """Lines of the table."""
    columns = [f"{column}{way}" for column in ("missed: ", "sentences: ", "not told: ", "wrong: ") for way in WAYS]
    lines = [f"| condition | patients | {' | '.join(columns)} |", "|---|" + "--:|" * 9]
    for condition, ways in scores.items():
        missed = [f"{100 * w.missed / max(1, w.patients):.0f} %" for w in ways]
        hits = [str(w.sentences.total()) for w in ways]
        other = [_share(w.sentences.total() - sum(w.sentences[s] for s in TOLD), w.sentences.total()) for w in ways]
        wrong = [_share(w.wrong, w.caught) for w in ways]
        cells = [condition, str(ways[0].patients), *missed, *hits, *other, *wrong]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def summary(scores: dict[str, tuple[Score, Score]]) -> list[str]:
    """How many conditions are as hard as meant, and those that are not, by name."""
    easy = [c for c, (w, _) in scores.items() if not 0.25 <= w.missed / max(1, w.patients) <= 0.75]
    clean = [c for c, (w, _) in scores.items() if sum(w.sentences[s] for s in TOLD) > 0.8 * max(1, w.sentences.total())]
    kinds: Counter[str] = sum((w.sentences for name, (w, _) in scores.items() if name != NORMAL), Counter())
    total = kinds.total()
    return [
        f"- Name missed in 25 to 75 % of the patients: {len(scores) - len(easy)} of {len(scores)} conditions; outside:"
        f" {', '.join(easy) or 'none'}.",
        f"- At least 20 % of the sentences with the name do not say that it is there: {len(scores) - len(clean)} of"
        f" {len(scores)}; less: {', '.join(clean) or 'none'}.",
        f'- What the sentences with a name say, all conditions but "{NORMAL}" together: '
        + ", ".join(f"{kind} {100 * n / total:.0f} %" for kind, n in kinds.most_common())
        + ".",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hearts", type=int, default=2000)
    parser.add_argument("--least", type=int, default=60, help="patients a condition, filled up by hearts drawn for it")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    args = parser.parse_args()
    scores = score(args.hearts, args.least, args.seed)
    settings = f"--hearts {args.hearts} --least {args.least} --seed {args.seed}"
    command = f"python benchmarks/report_string_match.py {settings} --write"
    text = "\n".join(
        [
            "# Reports: what an exact string match finds",
            "",
            f"`{command}`, {date.today()}.  What the columns are stands at the top of the script.",
            "",
            *rows(scores),
            "",
            *summary(scores),
            "",
        ]
    )
    print(text)
    if args.write:
        TABLE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
