"""`cardiolens evaluate`: from a table to metrics, figures and one page, and what it says of tables that are unfit."""

import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest

from cardiolens.cli import main
from cardiolens.evaluation import read_predictions
from cardiolens.stats import auroc, compare_auroc, mae

QUICK = ["--resamples", "200"]


def run(*args):
    """Exit code of the command line."""
    with pytest.raises(SystemExit) as done:
        main(["evaluate", *map(str, args), *QUICK])
    return done.value.code


def refused(capsys, *args):
    """The message of a run that must end with exit code 1."""
    assert run(*args) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("cardiolens: ")
    assert "Traceback" not in captured.err
    return captured.err


@pytest.fixture
def save(tmp_path):
    """Write a table and give its path."""

    def write(name, **columns):
        path = tmp_path / name
        pd.DataFrame(columns).to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def lvef():
    rng = np.random.default_rng(0)
    label = np.clip(rng.normal(50, 12, 60), 15, 75)
    return label, label + rng.normal(-1, 5, 60)


@pytest.fixture
def disease():
    rng = np.random.default_rng(1)
    label = (rng.random(80) < 0.3).astype(int)
    return label, 1 / (1 + np.exp(-(2 * label - 1.5 + rng.normal(0, 1, 80))))


def metrics(out):
    return json.loads((out / "metrics.json").read_text())


def test_regression_writes_metrics_figures_and_a_page(save, tmp_path, lvef, capsys):
    label, pred = lvef
    table, out = save("table.csv", label=label, pred=pred), tmp_path / "new" / "out"
    assert run(table, "--task", "regression", "--out", out) == 0
    found = metrics(out)
    assert found["metrics"]["mae"]["value"] == pytest.approx(mae(pred, label), abs=1e-9)
    area = auroc(label < 40, -pred)
    assert found["metrics"]["auroc_below_40"]["low"] == pytest.approx(area.low, abs=1e-9)
    assert found["data"]["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    assert (found["n"], found["seed"], found["config"]["threshold"]) == (60, 0, 40.0)
    assert found["figures"] == ["scatter", "bland_altman", "roc_below_40"]
    rows = pd.read_csv(out / "metrics.csv").set_index("metric")
    assert rows.loc["mae", "value"] == pytest.approx(mae(pred, label), abs=1e-9)
    for name in found["figures"]:
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "</svg>" in (out / f"{name}.svg").read_text()
    shown = capsys.readouterr().out
    assert f"{mae(pred, label):.2f} %" in shown
    assert "not a medical device" in shown


def test_page_is_self_contained_and_says_it_is_no_medical_device(save, tmp_path, lvef):
    table = save("<b>odd & name.csv", label=lvef[0], pred=lvef[1])
    assert run(table, "--task", "regression", "--out", tmp_path / "out") == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Research software; not a medical device." in page
    assert page.count("data:image/png;base64,") == 3
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "http" not in page
    assert "<b>odd" not in page
    assert "&lt;b&gt;odd &amp; name" in page


def test_same_table_gives_the_same_bytes(save, tmp_path, disease):
    table = save("table.csv", label=disease[0], score=disease[1])
    outs = [tmp_path / "a", tmp_path / "b"]
    for out in outs:
        assert run(table, "--task", "classification", "--out", out) == 0
    for path in sorted(outs[0].iterdir()):
        assert path.read_bytes() == (outs[1] / path.name).read_bytes(), path.name


def test_classification_compares_two_tables_by_key(save, tmp_path, disease):
    label, score = disease
    other = np.random.default_rng(2).random(80)
    keys = np.array([f"k{i:03d}" for i in range(80)])
    order = np.random.default_rng(3).permutation(80)[:70]
    a = save("a.csv", key=keys[4:], label=label[4:], score=score[4:])
    b = save("b.csv", key=keys[order], label=label[order], score=other[order])
    out = tmp_path / "out"
    assert run(a, "--task", "classification", "--against", b, "--out", out) == 0
    found = metrics(out)["comparison"]
    common = np.intersect1d(order, np.arange(4, 80))
    expected = compare_auroc(label[common], score[common], other[common])
    assert found["n"] == common.size
    assert found["dropped"] == 76 - common.size
    assert found["auroc"]["p_value"] == pytest.approx(expected.p_value, rel=1e-9)
    assert metrics(out)["figures"] == ["roc", "precision_recall", "calibration"]
    assert "paired DeLong" in (out / "index.html").read_text()


def test_regression_compares_errors_on_the_same_studies(save, tmp_path, lvef):
    label, pred = lvef
    keys = [f"k{i}" for i in range(60)]
    a = save("a.csv", key=keys, label=label, pred=pred)
    b = save("b.csv", key=keys[::-1], label=label[::-1], pred=(pred + 6)[::-1])
    out = tmp_path / "out"
    assert run(a, "--task", "regression", "--against", b, "--out", out) == 0
    value, low, high = metrics(out)["comparison"]["mae_difference"]
    assert value == pytest.approx(mae(pred, label) - mae(pred + 6, label))
    assert low < value < high < 0


def test_comparison_without_key_or_with_other_truth_is_refused(save, tmp_path, disease, lvef, capsys):
    label, score = disease
    bare = save("bare.csv", label=label, score=score)
    assert "needs a study key" in refused(
        capsys, bare, "--task", "classification", "--against", bare, "--out", tmp_path / "out"
    )
    keys = [f"k{i}" for i in range(80)]
    a, b = (save(f"{n}.csv", key=keys, label=y, score=score) for n, y in (("a", label), ("b", 1 - label)))
    assert "disagree on the true value of 80 of 80" in refused(
        capsys, a, "--task", "classification", "--against", b, "--out", tmp_path / "out"
    )
    assert not (tmp_path / "out").exists()
    rows = save("rows.csv", label=lvef[0], pred=lvef[1])
    assert run(rows, "--task", "regression", "--against", rows, "--out", tmp_path / "out") == 0
    assert metrics(tmp_path / "out")["comparison"]["auroc"]["p_value"] == 1.0


@pytest.fixture
def predicted(save, lvef):
    """What `predict` writes, and a table of truth: two studies without truth, one truth without prediction."""
    label, pred = lvef
    keys = np.array([f"site_{i // 2}/acc{i:03d}" for i in range(60)])
    flagged = np.arange(60) % 6 == 0
    predictions = save(
        "predictions.csv", key=keys, lvef=pred, lvef_low=pred - 8, lvef_high=pred + 8, out_of_domain=flagged
    )
    truth = save(
        "labels.csv",
        accession=[*keys[2:][::-1], "site_x/other"],
        lvef_pct=[*label[2:][::-1], 60.0],
        patient_id=[*(np.arange(60)[2:] // 2)[::-1], 99],
    )
    return predictions, truth


def test_truth_is_joined_by_key_and_unmatched_rows_are_counted(predicted, tmp_path, lvef):
    label, pred = lvef
    out = tmp_path / "out"
    assert run(predicted[0], "--labels", predicted[1], "--task", "regression", "--out", out) == 0
    found = metrics(out)
    assert found["n"] == 58
    assert found["metrics"]["mae"]["value"] == pytest.approx(mae(pred[2:], label[2:]), abs=1e-9)
    assert list(found["data"]["dropped"].values()) == [2]
    assert "1 rows of labels.csv have no prediction." in found["notes"]
    assert found["metrics"]["mae"]["method"].startswith("bootstrap by patient")


def test_intervals_and_flags_of_predictions_are_reported(predicted, tmp_path, lvef, capsys):
    label, pred = (column[2:] for column in lvef)
    out = tmp_path / "out"
    args = (predicted[0], "--labels", predicted[1], "--task", "regression", "--coverage", 0.9, "--out", out)
    assert run(*args) == 0
    found = metrics(out)
    assert found["interval_coverage"]["all"]["observed"]["value"] == np.mean(np.abs(pred - label) <= 8)
    assert found["interval_coverage"]["all"]["mean_width"] == pytest.approx(16)
    assert found["out_of_domain"]["count"] == 9
    inside = np.arange(2, 60) % 6 != 0
    assert found["without_out_of_domain"]["n"] == 49
    assert found["without_out_of_domain"]["metrics"]["mae"]["value"] == pytest.approx(mae(pred[inside], label[inside]))
    assert "Out of domain: 9 of 58" in capsys.readouterr().out
    page = (out / "index.html").read_text()
    assert "Results without studies flagged as out of domain" in page
    assert "stated 90 %" in page


def test_no_key_in_common_and_repeated_keys_are_refused(predicted, save, tmp_path, capsys):
    strangers = save("strangers.csv", key=["x", "y"], lvef=[50, 60])
    args = ("--task", "regression", "--out", tmp_path / "out")
    assert "no key of" in refused(capsys, predicted[0], "--labels", strangers, *args)
    twice = save("twice.csv", key=["site_0/acc000", "site_0/acc000"], lvef=[50, 60])
    assert "occur more than once, 'site_0/acc000' for one" in refused(capsys, predicted[0], "--labels", twice, *args)
    assert "no column 'study_no' (--id)" in refused(capsys, predicted[0], "--labels", twice, "--id", "study_no", *args)
    assert not (tmp_path / "out").exists()


def test_rows_with_gaps_are_counted_not_silently_dropped(save, tmp_path, lvef, capsys):
    label, pred = (column.copy() for column in lvef)
    label[3], pred[[5, 6]] = np.nan, np.nan
    out = tmp_path / "out"
    assert run(save("gaps.csv", label=label, pred=pred), "--task", "regression", "--out", out) == 0
    assert metrics(out)["data"]["dropped"] == {"with no true value": 1, "with no prediction": 2}
    assert metrics(out)["n"] == 57
    shown = capsys.readouterr().out
    assert "2 rows were left out: with no prediction." in shown


def test_repeated_study_keys_are_said(save, tmp_path, lvef):
    table = save("t.csv", key=["a", "a", *map(str, range(58))], label=lvef[0], pred=lvef[1])
    assert run(table, "--task", "regression", "--out", tmp_path / "out") == 0
    assert any("1 rows repeat a study key (key)" in note for note in metrics(tmp_path / "out")["notes"])


def test_patient_column_may_lie_in_the_table_of_truth_under_any_name(save, tmp_path, lvef):
    keys = [f"k{i}" for i in range(60)]
    predictions = save("p.csv", key=keys, lvef=lvef[1])
    truth = save("t.csv", key=keys, lvef=lvef[0], person=np.arange(60) // 2)
    args = (predictions, "--labels", truth, "--task", "regression", "--out", tmp_path / "out")
    assert run(*args, "--patient", "person") == 0
    assert any("60 rows are from 30 patients" in note for note in metrics(tmp_path / "out")["notes"])


def test_one_class_only_refuses_the_area_by_name_and_gives_the_rest(save, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(save("t.csv", label=[0, 0, 0], score=[0.1, 0.3, 0.9]), "--task", "classification", "--out", out) == 0
    found = metrics(out)
    assert "both classes are needed" in found["refused"]["auroc"]
    assert found["metrics"]["specificity"]["value"] == pytest.approx(2 / 3)
    assert "Not computed: AUROC: labels: all 3 are negative" in capsys.readouterr().out
    assert found["figures"] == ["calibration"]


def test_semicolons_tabs_and_byte_order_marks_are_read(tmp_path, lvef):
    for number, (separator, encoding) in enumerate([(";", "utf-8-sig"), ("\t", "utf-8")]):
        path = tmp_path / f"{number}.csv"
        pd.DataFrame({"label": lvef[0], "pred": lvef[1]}).to_csv(path, sep=separator, encoding=encoding, index=False)
        assert read_predictions(path, task="regression").frame["prediction"].to_numpy() == pytest.approx(lvef[1])


def test_threshold_unit_and_quantity_are_the_users(save, tmp_path, lvef):
    out = tmp_path / "out"
    table = save("mass.csv", truth=lvef[0] * 2, prediction=lvef[1] * 2)
    args = ("--task", "regression", "--positive-above", "--threshold", 110, "--quantity", "LV mass", "--unit", "g")
    assert run(table, *args, "--out", out) == 0
    found = metrics(out)
    assert found["metrics"]["auroc_above_110"]["value"] == auroc(lvef[0] * 2 > 110, lvef[1] * 2).auc
    assert found["metrics"]["mae"]["unit"] == "g"


BAD = {
    "missing file": (None, "regression", [], "no such file"),
    "empty file": ("", "regression", [], "file is empty"),
    "no rows": ("label,pred\n", "regression", [], "no rows, only the columns 'label', 'pred'"),
    "no such column": ("label,pred\n1,2\n", "regression", ["--label", "truht"], "no column 'truht' (--label)"),
    "no truth": ("key,lvef\na,50\n", "regression", [], "bring a table of true values with --labels"),
    "two candidates": ("label,pred,score\n1,2,3\n", "regression", [], "several columns could be it (pred, score)"),
    "twice named": ("label,pred,pred\n1,2,3\n", "regression", [], "header names 'pred' more than once"),
    "text": ("label,pred\n50,51\n60,high\n", "regression", [], "not numeric: 1 values such as 'high' (row 2 of"),
    "infinite": ("label,pred\n50,inf\n", "regression", [], "not numeric"),
    "only gaps": ("label,pred\n50,\n,40\n", "regression", [], "no row of 2 can be used"),
    "not binary": ("label,score\n0,0.1\n2,0.4\n", "classification", [], "must be 0 or 1; found '2' in 1 rows"),
    "longer rows": ("label,pred\n50,51,3\n", "regression", [], "not a readable table"),
    "unknown task": ("label,pred\n50,51\n", "survival", [], "unknown task 'survival'"),
    "odd level": ("label,pred\n50,51\n", "regression", ["--level", "95"], "level"),
    "crossed": ("label,pred,pred_low,pred_high\n5,5,9,1\n6,5,4,9\n", "regression", [], "1 of 2 intervals"),
}


@pytest.mark.parametrize("case", BAD)
def test_unfit_input_ends_in_one_message_and_writes_nothing(case, tmp_path, capsys):
    content, task, flags, says = BAD[case]
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_text(content)
    assert says in refused(capsys, path, "--task", task, "--out", tmp_path / "out", *flags)
    assert not (tmp_path / "out").exists()


def test_binary_file_and_out_that_is_a_file_are_refused(save, tmp_path, capsys):
    blob = tmp_path / "blob.csv"
    blob.write_bytes(b"\x89PNG\xff\xfe\x00")
    assert "not a text table" in refused(capsys, blob, "--task", "regression", "--out", tmp_path / "out")
    table = save("t.csv", label=[1.0, 2.0], pred=[1.0, 3.0])
    assert "is a file" in refused(capsys, table, "--task", "regression", "--out", table)


def test_published_tables_are_read_as_they_stand(shared_data, tmp_path):
    folder = shared_data / "paper_tables"
    lvef = pd.read_csv(folder / "expected_lvef.csv").set_index("table").loc["lvef_kaggle_baseline"]
    assert run(folder / "lvef_kaggle_baseline.csv", "--task", "regression", "--out", tmp_path / "lvef") == 0
    found = metrics(tmp_path / "lvef")["metrics"]
    for ours, theirs in (("mae", "mae"), ("bias", "bias"), ("limit_low", "limit_low"), ("limit_high", "limit_high")):
        assert found[ours]["value"] == pytest.approx(lvef[theirs], abs=1e-9)
    area = found["auroc_below_40"]
    assert (area["value"], area["low"]) == pytest.approx((lvef.auc_below_40, lvef.auc_low), abs=1e-9)
    expected = pd.read_csv(folder / "expected_auc.csv").set_index("table").loc["cardiac_tumor_pretrained"]
    a, b = (folder / f"cardiac_tumor_{kind}.csv" for kind in ("pretrained", "baseline"))
    assert run(a, "--task", "classification", "--against", b, "--out", tmp_path / "tumour") == 0
    found = metrics(tmp_path / "tumour")
    assert found["metrics"]["auroc"]["high"] == pytest.approx(expected.high, abs=1e-9)
    assert found["comparison"]["auroc"]["p_value"] == pytest.approx(expected.paired_p_on_common_keys, rel=1e-9)
    assert (found["comparison"]["n"], found["comparison"]["dropped"]) == (1215, 3)
