"""Corrections over the API: recorded with what was before, measured anew, taken back, kept over a restart."""

import errno
import json
import os
import shutil
from dataclasses import replace

import numpy as np
from served import LONG, WHOLE, desk_of, done, drawn, fill

from cardiolens.errors import ReadError
from cardiolens.serve import desk as desk_module
from cardiolens.serve.changes import Journal
from cardiolens.store import StudyStore

URL = f"/api/studies/{WHOLE}/changes"
CONTOUR = {"view": "SAX", "plane": 4, "phase": 3, "structure": "LV cavity"}


def lines(client):
    return [json.loads(line) for line in (desk_of(client).settings.work / "changes.jsonl").read_text().splitlines()]


def test_moving_es_measures_anew_and_records_what_was_before(client):
    first = drawn(client)["contours"]
    other = (first["es"] + 1) % 9
    now = client.post(f"{URL}/phase", json={"which": "es", "phase": other, "reader": "AB"}).json()
    assert now["contours"]["es"] == other and now["contours"]["found"]["es"] == first["es"]
    assert now["contours"]["lvef_pct"] < first["lvef_pct"] and "ES set to phase" in now["contours"]["changed"][0]
    [line] = lines(client)
    assert (line["what"], line["before"], line["after"], line["reader"]) == ("es_phase", None, other, "AB")
    assert line["time"].endswith("+00:00")


def test_a_changed_contour_changes_volumes_and_its_pixels_are_kept_before_and_after(client):
    first = drawn(client)
    before = desk_of(client).labels(WHOLE, "SAX").copy()
    asked = {**CONTOUR, "phase": first["contours"]["ed"], "how": "move", "pixels": 2}
    now = client.post(f"{URL}/contour", json=asked).json()
    after = desk_of(client).labels(WHOLE, "SAX")
    changed = np.argwhere(after != before)
    assert {tuple(place[:2]) for place in changed} == {(4, first["contours"]["ed"])}
    assert now["contours"]["lvef_pct"] > first["contours"]["lvef_pct"]
    [line] = lines(client)
    assert line["pixels"] == len(changed) and line["before"] != line["after"]
    [told] = now["changes"]
    assert "zlib" not in json.dumps(told) and "SAX plane 5" in told["words"]


def test_undo_gives_back_the_figures_and_stays_in_the_record(client):
    first = drawn(client)["contours"]
    client.post(f"{URL}/contour", json={**CONTOUR, "how": "clear"})
    client.post(f"{URL}/phase", json={"which": "ed", "phase": 1})
    client.post(f"{URL}/undo", json={})
    now = client.post(f"{URL}/undo", json={}).json()
    assert now["contours"]["lvef_pct"] == first["lvef_pct"] and not now["contours"]["changed"] and now["live"] == []
    assert [line["what"] for line in lines(client)] == ["contour", "ed_phase", "undo", "undo"]
    assert "no change" in client.post(f"{URL}/undo", json={}).json()["error"]


def test_changes_stand_after_the_server_was_killed_in_the_middle_of_a_line(serve):
    first = serve()
    drawn(first)
    changed = first.post(f"{URL}/contour", json={**CONTOUR, "how": "move", "pixels": -1}).json()
    path = desk_of(first).settings.work / "changes.jsonl"
    with path.open("ab") as out:
        out.write(b'{"id": 2, "key": "site_p1/a1", "wh')
    second = serve()
    again = second.get(f"/api/studies/{WHOLE}/reading").json()
    assert again["contours"]["lvef_pct"] == changed["contours"]["lvef_pct"] and len(again["changes"]) == 1
    second.post(f"{URL}/undo", json={})
    assert [line["what"] for line in lines(second)] == ["contour", "undo"]


def test_a_line_drawn_encloses_what_it_says(client):
    drawn(client)
    square = [[20, 20], [30, 20], [30, 30], [20, 30]]
    client.post(f"{URL}/contour", json={**CONTOUR, "structure": "RV cavity", "how": "line", "lines": [square]})
    found = np.argwhere(desk_of(client).labels(WHOLE, "SAX")[4, 3] == 3)
    assert found.min(0).tolist() >= [20, 20] and found.max(0).tolist() <= [30, 30] and len(found) >= 81


def test_brush_erase_copy_and_the_models_own_contours(client):
    drawn(client)
    model = desk_of(client).labels(WHOLE, "SAX").copy()

    def now(**edit):
        answer = client.post(f"{URL}/contour", json={**CONTOUR, **edit})
        assert answer.status_code == 200, answer.text
        return desk_of(client).labels(WHOLE, "SAX")[4, 3]

    assert (now(how="brush", points=[[5, 5], [8, 5]], radius=2)[5, 5:9] == 1).all()
    assert not (now(how="erase", points=[[5, 5]], radius=20)[:8, :8] == 1).any()
    np.testing.assert_array_equal(now(how="copy", source=0), model[4, 0])
    np.testing.assert_array_equal(now(how="model"), model[4, 3])


REFUSED = [
    ("phase", {"which": "es", "phase": 50}, 422, "phases 1 to 9"),
    ("contour", {**CONTOUR, "plane": 40, "how": "clear"}, 404, "no plane 41"),
    ("contour", {**CONTOUR, "structure": "LA", "view": "2CH", "how": "clear"}, 404, "nothing is drawn on 2CH"),
    ("contour", {**CONTOUR, "structure": "aorta", "how": "clear"}, 422, "not drawn"),
    ("contour", {**CONTOUR, "how": "line", "lines": [[[1, 1], [2, 2]]]}, 422, "three points"),
    ("contour", {**CONTOUR, "how": "brush"}, 422, "point"),
    ("contour", {**CONTOUR, "how": "model"}, 422, "changes no pixel"),
    ("contour", {**CONTOUR, "how": "explode"}, 422, "how"),
    ("phase", {"which": "es", "phase": 1, "reader": "x" * 65}, 422, "reader"),
]


def test_changes_that_cannot_be_are_refused_and_not_recorded(client):
    drawn(client)
    for path, asked, status, words in REFUSED:
        answer = client.post(f"{URL}/{path}", json=asked)
        assert answer.status_code == status and words in answer.json()["error"], (asked, answer.text)
    assert client.get(URL).json()["changes"] == []


def test_ed_and_es_cannot_be_one_phase(client):
    found = drawn(client)["contours"]
    assert "same phase" in client.post(f"{URL}/phase", json={"which": "es", "phase": found["ed"]}).json()["error"]


def test_a_study_that_is_not_drawn_cannot_be_corrected(client):
    answer = client.post(f"/api/studies/{LONG}/changes/contour", json={**CONTOUR, "how": "clear"})
    assert answer.status_code == 422 and "draw its contours first" in answer.json()["error"]


def test_a_change_after_which_nothing_can_be_measured_is_taken_back(client, monkeypatch):
    first = drawn(client)["contours"]
    real = desk_module.segment_study

    def refuse(study, segmenter, **asked):
        if asked["corrections"]:
            raise ReadError("nothing can be measured")
        return real(study, segmenter, **asked)

    monkeypatch.setattr(desk_module, "segment_study", refuse)
    assert "nothing can be measured" in client.post(f"{URL}/contour", json={**CONTOUR, "how": "clear"}).json()["error"]
    assert client.get(f"/api/studies/{WHOLE}/reading").json()["contours"]["lvef_pct"] == first["lvef_pct"]
    assert [line["what"] for line in lines(client)] == ["contour", "undo"]


def test_on_a_full_disk_the_change_does_not_stand_and_the_record_stays_whole(client, monkeypatch):
    first = drawn(client)["contours"]

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    answer = client.post(f"{URL}/phase", json={"which": "es", "phase": 1})
    monkeypatch.undo()
    assert answer.status_code == 507 and "no room on the disk" in answer.json()["error"]
    assert client.get(f"/api/studies/{WHOLE}/reading").json()["contours"]["es"] == first["es"]
    assert (desk_of(client).settings.work / "changes.jsonl").read_bytes() == b""


def test_a_damaged_line_is_left_out_and_the_others_stand(tmp_path):
    journal = Journal(tmp_path / "changes.jsonl")
    journal.add("k/a", "c", "m", "es_phase", before=None, after=2, reader="")
    with journal.path.open("ab") as out:
        out.write(b"not json\n")
    journal = Journal(journal.path)
    journal.add("k/a", "c", "m", "ed_phase", before=None, after=0, reader="")
    found = Journal(journal.path).edited("k/a", "c", "m")
    assert (found.ed, found.es) == (0, 2)
    assert Journal(journal.path).edited("k/a", "other pixels", "m").live == []


def test_drawing_all_again_leaves_the_corrected_figure_in_the_work_list(client):
    first = drawn(client)["contours"]
    now = client.post(f"{URL}/phase", json={"which": "es", "phase": (first["es"] + 1) % 9}).json()
    drawn(client)
    [row] = [one for one in client.get("/api/studies").json()["rows"] if one["key"] == WHOLE]
    assert row["result"]["contour_lvef"] == now["contours"]["lvef_pct"] != first["lvef_pct"]
    assert row["result"]["corrected"] is True


TWIN = "site_p4/a4"


def worklist(client):
    desk_of(client).catalogue.refresh()
    return {row["key"]: row["result"] for row in client.get("/api/studies").json()["rows"]}


def test_of_two_studies_with_equal_pixels_only_the_corrected_one_changes(serve, tmp_path):
    path = fill(tmp_path / "twins")
    (path / TWIN).parent.mkdir()
    shutil.copy(path / f"{WHOLE}.h5", path / f"{TWIN}.h5")
    client = serve(path)
    first = drawn(client)["contours"]
    drawn(client, TWIN)
    asked = {**CONTOUR, "phase": first["ed"], "how": "move", "pixels": 2}
    now = client.post(f"{URL}/contour", json=asked).json()["contours"]
    assert desk_of(client).content(WHOLE) == desk_of(client).content(TWIN) and now["lvef_pct"] != first["lvef_pct"]
    twin = client.get(f"/api/studies/{TWIN}/reading").json()
    assert twin["contours"]["lvef_pct"] == first["lvef_pct"] and twin["changes"] == []
    rows = worklist(client)
    assert (rows[WHOLE]["contour_lvef"], rows[WHOLE]["corrected"]) == (now["lvef_pct"], True)
    assert (rows[TWIN]["contour_lvef"], rows[TWIN]["corrected"]) == (first["lvef_pct"], False)
    client.post(f"/api/studies/{TWIN}/changes/contour", json={**CONTOUR, "how": "clear"})
    again = serve(path)
    assert again.get(f"/api/studies/{WHOLE}/reading").json()["contours"]["lvef_pct"] == now["lvef_pct"]
    assert worklist(again)[WHOLE]["contour_lvef"] == now["lvef_pct"]


def test_corrections_of_other_pixels_of_the_same_study_do_not_stand_and_come_back_with_the_pixels(serve, tmp_path):
    path = fill(tmp_path / "replaced")
    client = serve(path)
    first = drawn(client)["contours"]
    seen = client.get(f"/api/studies/{WHOLE}").json()["content"]
    asked = {"which": "es", "phase": (first["es"] + 1) % 9, "content": seen}
    now = client.post(f"{URL}/phase", json=asked).json()["contours"]
    store = StudyStore(path, mode="a")
    original = store.read(WHOLE)
    frames = {cine.view: cine.frames[...].copy() for cine in original.cines}  # before the file they lie in goes
    original = replace(original, cines=tuple(replace(cine, frames=frames[cine.view]) for cine in original.cines))
    sax = original.cine("SAX")
    others = tuple(cine for cine in original.cines if cine.view != sax.view)
    store.write(replace(original, cines=(replace(sax, frames=frames[sax.view] // 2), *others)), key=WHOLE)
    reading = client.get(f"/api/studies/{WHOLE}/reading").json()
    assert reading["contours"] is None and reading["changes"] == []
    assert drawn(client)["contours"]["es"] == first["es"] and not worklist(client)[WHOLE]["corrected"]
    for change, more in (("phase", {}), ("undo", {}), ("contour", {**CONTOUR, "how": "clear"})):
        answer = client.post(f"{URL}/{change}", json={**asked, **more})
        assert answer.status_code == 409 and "replaced" in answer.json()["error"]
    assert len(lines(client)) == 1
    store.write(original, key=WHOLE)
    assert client.get(f"/api/studies/{WHOLE}/reading").json()["contours"]["lvef_pct"] == now["lvef_pct"]
    assert worklist(client)[WHOLE]["corrected"] is True


def test_what_was_read_of_a_study_that_is_replaced_meanwhile_is_not_kept(serve, tmp_path, monkeypatch):
    path = fill(tmp_path / "meanwhile")
    client = serve(path)
    desk = desk_of(client)
    content, real = desk.content(LONG), type(desk.engines.predictor).__call__

    def slow(self, study):
        found = real(self, study)
        store = StudyStore(path, mode="a")
        store.write(replace(store.read(LONG), age=41.0), key=LONG)
        return found

    monkeypatch.setattr(type(desk.engines.predictor), "__call__", slow)
    job = done(client, client.post("/api/jobs", json={"kind": "predict", "keys": [LONG]}))
    assert job.state == "failed" and "replaced" in job.message
    assert desk.results.prediction(content) is None and desk.results.prediction(desk.content(LONG)) is None
