"""Sites, sessions, cropping, covariates: what a cohort takes from where and whom it scans."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cardiolens.phantom.cohort import make_cohort
from cardiolens.phantom.cohort.config import CohortConfig
from cardiolens.phantom.cohort.crop import crop_cine
from cardiolens.phantom.cohort.order import StudyOrder
from cardiolens.phantom.cohort.patient import another_day, draw_patient
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.render import render_study
from cardiolens.phantom.truth import truth_of
from cardiolens.phantom.truth.on_images import masks
from cardiolens.store import StudyStore
from cardiolens.study import View
from cardiolens.text.conditions import CONDITIONS

SMALL: dict[str, Any] = {"matrix": 32, "phases": 8, "sax_planes": 3, "workers": 1}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two patients at two sites, each scanned twice, cropped, with masks."""
    out = tmp_path_factory.mktemp("cohort") / "twice"
    sites = ("post-contrast", "biobank")
    cohort = make_cohort(out, 2, 3, format="store", site=sites, sessions=2, crop_mm=220.0, masks=True, **SMALL)
    assert cohort.studies == ("PH000003-000000", "P2000003-000000", "PH000003-000001", "P2000003-000001")
    return out


def test_sites_are_dealt_out_in_turn_and_scan_in_their_own_way(twice: Path) -> None:
    rows = table(twice / "truth.csv")
    assert [row["site"] for row in rows] == ["post-contrast"] * 2 + ["biobank"] * 2
    assert float(rows[0]["scan_agent_mm"]) > 0.1 and float(rows[0]["scan_field_strength_t"]) == 3
    assert float(rows[2]["scan_agent_mm"]) == 0 and rows[2]["scan_vendor"] == "siemens"
    assert {key.split("_P")[0] for key in StudyStore(twice)} == {"phantom-post-contrast", "phantom-biobank"}


def test_sessions_share_patient_and_heart_and_differ_by_the_day(twice: Path) -> None:
    first, second = table(twice / "truth.csv")[:2]
    assert first["patient"] == second["patient"] and first["study"] != second["study"]
    assert (first["session"], second["session"]) == ("1", "2")
    for same in ("age", "height_cm", "conditions", "scan_matrix", "diabetes", "follow_up_years", "rv_edv_ml"):
        assert first[same] == second[same], same
    assert 0 < abs(float(first["lvef_pct"]) - float(second["lvef_pct"])) < 4
    record = json.loads((twice / "truth" / "P2000003-000000.json").read_text())
    assert record["day"]["heart_rate"] == pytest.approx(
        float(second["heart_rate"]) - float(first["heart_rate"]), abs=1e-3
    )
    store = StudyStore(twice)
    a, b = (store.read(row["key"]).cine("4CH") for row in (first, second))
    assert a.affine is not None and not np.allclose(a.affine, b.affine), "planned anew"


def test_every_condition_has_a_label_and_a_severity(twice: Path) -> None:
    rows, labels = table(twice / "truth.csv"), StudyStore(twice).labels()
    for condition in CONDITIONS:
        assert set(labels[condition.column]) <= {0, 1}
        assert all(0 <= float(row[f"severity_{condition.column}"]) <= 1 for row in rows)
    for name in ("age", "height", "weight", "ethnic_group", "diabetes", "follow_up_years", "death", "site"):
        assert name in labels


def test_masks_of_a_store_fit_the_cropped_images(twice: Path) -> None:
    import nibabel

    row = table(twice / "truth.csv")[0]
    cine = StudyStore(twice).read(row["key"]).cine("SAX")
    mask = nibabel.load(twice / "truth" / row["study"] / "masks" / "SAX.nii.gz")
    assert mask.shape == (*cine.shape[3:1:-1], cine.shape[0], cine.shape[1])
    assert cine.affine is not None
    np.testing.assert_allclose(mask.affine, np.diag([-1, -1, 1, 1]) @ cine.affine, atol=1e-4)
    assert {1, 2, 3} <= set(np.unique(np.asarray(mask.dataobj)))


def test_the_record_of_a_study_gives_its_masks_again(twice: Path) -> None:
    import nibabel

    for row in table(twice / "truth.csv")[:2]:
        record = json.loads((twice / "truth" / f"{row['study']}.json").read_text())
        heart, study = HeartParameters.from_dict(record["parameters"]), StudyStore(twice).read(row["key"])
        for view in ("SAX", "4CH"):
            written = np.asarray(nibabel.load(twice / "truth" / row["study"] / "masks" / f"{view}.nii.gz").dataobj)
            again = masks(heart, study.cine(view)).transpose(3, 2, 0, 1)
            assert (again != written).sum() <= 2 < (written > 0).sum(), "figures in a record are rounded"


def test_a_resumed_cohort_is_the_same_and_nothing_is_made_twice(twice: Path, tmp_path: Path) -> None:
    out, sites = tmp_path / "again", ("post-contrast", "biobank")
    shutil.copytree(twice, out)
    (out / "truth" / "P2000003-000001.json").unlink()
    settings = {"format": "store", "site": sites, "sessions": 2, "crop_mm": 220.0, "masks": True, **SMALL}
    cohort = make_cohort(out, 2, 3, **settings)
    assert cohort.made == 1
    assert cohort.hash == json.loads((twice / "manifest.json").read_text())["sha256"]


def test_a_cut_cine_shows_the_same_places(tmp_path: Path) -> None:
    p = HeartParameters()
    for view in (View.SAX, View.CH4):
        cine = render_study(p, seed=1, matrix=96, phases=2, sax_planes=3, views=(view,)).cine(view)
        cut = crop_cine(cine, p, 180.0)
        assert cut.spacing_mm == cine.spacing_mm and cut.shape[2:] == (round(180 / cine.spacing_mm[0]),) * 2
        assert cine.affine is not None and cut.affine is not None
        start = np.linalg.inv(cine.affine) @ cut.affine @ [0, 0, 0, 1]
        c, r = np.rint(start[:2]).astype(int)
        rows, cols = cut.shape[2:]
        np.testing.assert_array_equal(cut.frames, cine.frames[:, :, r : r + rows, c : c + cols])
        whole, part = masks(p, cine), masks(p, cut)
        np.testing.assert_array_equal(part, whole[:, :, r : r + rows, c : c + cols])
        assert (part > 0).sum() == (whole > 0).sum(), "all of the heart is in it"
        assert crop_cine(cine, p, 400.0).shape == cine.shape


def test_another_day_changes_little_and_stays_possible() -> None:
    p = HeartParameters()
    changes = [another_day(p, np.random.default_rng(seed))[1] for seed in range(40)]
    assert 0.5 < np.std([c["lvef_pct"] for c in changes]) < 2
    assert np.std([c["heart_rate"] / p.heart_rate for c in changes]) < 0.06
    edge = HeartParameters(lvef_pct=5.0, heart_rate=30.0, mapse_mm=2.0)
    for seed in range(2):
        truth_of(another_day(edge, np.random.default_rng(seed))[0])


def test_populations_differ_as_sites_do() -> None:
    def normal(site: str) -> int:
        config = CohortConfig(seed=0, site=(site,))
        drawn = [draw_patient(StudyOrder(Path(), config, i)).parameters.conditions for i in range(10)]
        return sum("normal" in conditions for conditions in drawn)

    assert normal("biobank") > normal("referral")
