"""Build the vocabulary that the package ships, from reports of phantom patients and the package's own word lists.

    python examples/build_vocabulary.py

Writes src/cardiolens/text/data/vocabulary/vocab.txt; the same every time.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import yaml

from cardiolens.phantom.cohort.config import CohortConfig
from cardiolens.phantom.cohort.order import StudyOrder
from cardiolens.phantom.cohort.patient import draw_patient
from cardiolens.phantom.report.writer import write_report
from cardiolens.text.tokenizer import ReportTokenizer

SOURCE = Path(__file__).resolve().parents[1] / "src" / "cardiolens"
SITES = ("default", "biobank", "referral", "challenge", "post-contrast")


def reports(n: int) -> Iterator[str]:
    """Reports of `n` patients that nobody scans."""
    config = CohortConfig(seed=900_001, site=SITES, enrich=0.8)
    for index in range(n):
        order = StudyOrder(Path(), config, index)
        patient = draw_patient(order)
        yield write_report(
            patient.parameters,
            patient.truth,
            order.rng("report"),
            history=patient.history,
            field_t=(1.5, 3.0)[index % 2],
            contrast=index % 3 == 0 or None,
        )


def texts_in(node: object) -> Iterator[str]:
    """Every text of a YAML file."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield str(key)
            yield from texts_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts_in(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=2000)
    parser.add_argument("--words", type=int, default=4000)
    args = parser.parse_args()
    corpus = list(reports(args.reports))
    for path in (SOURCE / "text/data/conditions.yaml", SOURCE / "search/data/prompts.yaml"):
        corpus += list(texts_in(yaml.safe_load(path.read_text()))) * 2  # twice, since a word seen once is left out
    tokenizer = ReportTokenizer.train(corpus, vocabulary=args.words)
    folder = SOURCE / "text" / "data" / "vocabulary"
    folder.mkdir(parents=True, exist_ok=True)
    found = tokenizer.vocabulary()
    (folder / "vocab.txt").write_text("\n".join(sorted(found, key=lambda word: found[word])) + "\n", encoding="utf-8")
    print(f"{len(found)} words in {folder / 'vocab.txt'}")


if __name__ == "__main__":
    main()
