"""The work-list and a study over the API: filters, pixels, report, numbers, what is hostile."""

import gzip
import re
import time
from dataclasses import replace

import numpy as np
import pytest
from served import HOSTILE, LONG, OTHER, WHOLE, desk_of, done, drawn, fill

from cardiolens.errors import StoreError
from cardiolens.serve import export
from cardiolens.store import StudyStore
from drawn_phantom import phantom


def keys(client, **asked):
    answer = client.get("/api/studies", params=asked)
    assert answer.status_code == 200, answer.text
    return [row["key"] for row in answer.json()["rows"]]


def test_the_list_is_paged_and_filtered_without_reading_a_pixel(client, monkeypatch):
    def never(*_):
        raise AssertionError("pixels were read")

    monkeypatch.setattr(StudyStore, "load", never)
    monkeypatch.setattr(StudyStore, "frames", never)
    assert keys(client) == [WHOLE, LONG, OTHER]
    assert keys(client, count=1, start=1) == [LONG]
    assert client.get("/api/studies", params={"count": 1}).json()["total"] == 3
    assert keys(client, words="MYOcard") == [LONG]
    assert keys(client, view=["SAX", "4CH"]) == [WHOLE, OTHER]
    assert keys(client, report=True) == [WHOLE]
    assert keys(client, between="lvef:40:") == [WHOLE, OTHER]
    assert keys(client, label=["scanner:B", "scanner:C"]) == [LONG]
    assert keys(client, sort="lvef") == [LONG, OTHER, WHOLE]
    assert keys(client, sort="lvef", descending=True) == [WHOLE, OTHER, LONG]
    assert keys(client, predicted=True) == []


@pytest.mark.parametrize(
    "asked", [{"between": "lvef:a:b"}, {"label": "lvef"}, {"label": "nothing:1"}, {"sort": "nothing"}, {"count": 0},
              {"count": 10_000}, {"start": -1}, {"view": "5CH"}]
)  # fmt: skip
def test_filters_that_make_no_sense_are_told(client, asked):
    answer = client.get("/api/studies", params=asked)
    assert answer.status_code == 422 and answer.json()["error"]


def test_what_was_read_is_in_the_list(client):
    done(client, client.post("/api/jobs", json={"kind": "predict", "keys": [LONG]}))
    assert keys(client, predicted=True) == [LONG] and keys(client, between="predicted_lvef:0:100") == [LONG]
    row = client.get("/api/studies", params={"words": LONG}).json()["rows"][0]
    assert row["result"]["low"] <= row["result"]["lvef"] <= row["result"]["high"] and "out_of_domain" in row["result"]


def test_an_empty_store_and_one_with_damage_are_told(serve, tmp_path):
    empty = serve(StudyStore(tmp_path / "empty", mode="a").path, out=tmp_path / "e")
    assert empty.get("/api/studies").json() == {"rows": [], "total": 0, "start": 0, "studies": 0, "looked_at": 0}
    assert "empty" in done(empty, empty.post("/api/jobs", json={"kind": "embed"})).message
    store = StudyStore(tmp_path / "store", mode="a")
    store.write(phantom(), key=WHOLE)
    (store.path / "site_p9").mkdir()
    (store.path / "site_p9" / "a9.h5").write_bytes(b"damaged")
    (store.path / "labels.csv").write_text("no,kye\n1,2\n")
    client = serve(store.path, out=tmp_path / "d")
    first, second = client.get("/api/studies").json()["rows"]
    assert first["trouble"] == "" and second["trouble"]
    assert "labels.csv is left out" in client.get("/api/about").json()["trouble"]
    answer = client.get("/api/studies/site_p9/a9/reading")
    assert answer.status_code == 400 and answer.json()["error"]


@pytest.mark.parametrize(
    "path", ["..%2f..%2fetc/passwd", "../../etc/passwd", "%2e%2e/%2e%2e/etc", "site_p1/a1%00", "..%5c..%5cetc/x",
             "site_p1/a1.h5", "nobody/none"]
)  # fmt: skip
@pytest.mark.parametrize("rest", ["", "/reading", "/frames/SAX/0", "/report.html"])
def test_no_path_leads_out_of_the_store(client, path, rest):
    answer = client.get(f"/api/studies/{path}{rest}")
    assert answer.status_code == 404 and "root:" not in answer.text


@pytest.mark.parametrize(
    "path", ["/static/..%2fapp.py", "/static/../app.py", "/static/%2e%2e/app.py", "/static/....//app.py"]
)
def test_static_files_are_those_alone(client, path):
    assert client.get(path).status_code == 404


def test_frames_are_the_pixels_of_the_store(client, filled):
    answer = client.get(f"/api/studies/{WHOLE}/frames/SAX/4", headers={"Accept-Encoding": "gzip"})
    low, high = map(float, answer.headers["x-scale"].split())
    sent = np.frombuffer(answer.content, np.uint8).reshape([int(n) for n in answer.headers["x-shape"].split()])
    kept = StudyStore(filled).frames(WHOLE, "SAX", 4).astype(float)
    np.testing.assert_allclose(low + sent * (high - low) / 255, kept.clip(low, high), atol=(high - low) / 509 + 1e-6)
    again = client.get(f"/api/studies/{WHOLE}/frames/SAX/4", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304 and not again.content
    plain = client.get(f"/api/studies/{WHOLE}/frames/SAX/4", headers={"Accept-Encoding": "identity"})
    assert plain.content == answer.content and "content-encoding" not in plain.headers
    assert gzip.decompress(gzip.compress(plain.content)) == plain.content


@pytest.mark.parametrize(
    "path",
    [
        "frames/SAX/99",
        "frames/SAX/-1",
        "frames/2CH/0",
        "labels/SAX/99",
        "loop/2CH/0",
        "loop/SAX/99",
        "attention/2CH/0",
        "attention/SAX/0",
    ],
)
def test_views_and_planes_that_are_not_there_are_told(client, path):
    drawn(client)
    answer = client.get(f"/api/studies/{WHOLE}/{path}")
    assert answer.status_code in (400, 404, 422) and answer.json()["error"]


def test_a_loop_is_one_small_picture_and_attention_covers_the_field(client):
    answer = client.get(f"/api/studies/{WHOLE}/loop/SAX/-1", params={"side": 48})
    assert (
        answer.headers["content-type"] == "image/webp"
        and answer.headers["x-frames"] == "9"
        and len(answer.content) < 20_000
    )
    found = client.get(f"/api/studies/{WHOLE}/attention/SAX/4").json()
    assert len(found["times"]) == 9 and max(found["times"]) == found["grid"][0] - 1 and found["times"][0] == 0


def test_the_reading_tells_both_methods_their_agreement_and_operating_points(client):
    drawn(client)
    done(client, client.post("/api/jobs", json={"kind": "predict", "keys": [WHOLE]}))
    found = client.get(f"/api/studies/{WHOLE}/reading").json()
    assert client.get(f"/api/studies/{WHOLE}").json()["rendered"] and found["phantom_trained"]
    assert (
        found["disclaimer"] == "Research use only, not a medical device" and "of the video model" in found["agreement"]
    )
    assert sum(row["share"] for row in found["prediction"]["attention"]) == pytest.approx(1.0)
    for one in found["prediction"]["conditions"]:
        if one["flagged"] is not None:
            assert one["flagged"] == (one["probability"] >= one["threshold_probability"] - 1e-9)
    assert (
        len(found["contours"]["curves"]["LV cavity"]["values"]) == 9
        and found["contours"]["ed"] != found["contours"]["es"]
    )


def test_hostile_text_is_data_everywhere(client):
    done(client, client.post("/api/jobs", json={"kind": "predict", "keys": [WHOLE]}))
    for path in (f"/api/studies/{WHOLE}", "/api/studies"):
        answer = client.get(path)
        assert answer.headers["content-type"] == "application/json" and HOSTILE.replace('"', '\\"') in answer.text
    page = client.get(f"/api/studies/{WHOLE}/report.html")
    assert "<script>document.title" not in page.text and "<img src=x" not in page.text
    assert "script-src 'sha256-" in page.headers["content-security-policy"]
    assert client.get(f"/study/{HOSTILE.replace('/', '')}/x").text.count("<script") == 1


def test_numbers_are_a_table_that_a_spreadsheet_cannot_run(client, tmp_path, serve):
    store = StudyStore(tmp_path / "odd", mode="a")
    store.write(phantom(), key="=cmd|calc!A0_p1/a1")
    other = serve(store.path, out=tmp_path / "odd_out")
    assert other.get("/api/numbers.csv").text.splitlines()[1].startswith("'=cmd")
    drawn(client)
    table = client.get("/api/numbers.csv").text.splitlines()
    assert len(table) == 4 and "not a medical device" in table[1]
    header, row = table[0].split(","), client.get(f"/api/studies/{WHOLE}/numbers.csv").text.splitlines()[1].split(",")
    assert 40 < float(row[header.index("contour_lvef_pct")]) < 80


def test_without_a_browser_the_pdf_says_what_to_do(client, monkeypatch):
    monkeypatch.setenv(export.BROWSER, "/no/such/browser")
    done(client, client.post("/api/jobs", json={"kind": "predict", "keys": [LONG]}))
    answer = client.get(f"/api/studies/{LONG}/report.pdf")
    assert answer.status_code == 501 and "print it to a PDF" in answer.json()["error"]
    assert "read it first" in client.get(f"/api/studies/{OTHER}/report.html").json()["error"]


def test_the_api_describes_itself(client):
    found = client.get("/api/openapi.json").json()
    assert (
        "/api/studies/{folder}/{accession}/changes/contour" in found["paths"]
        and "not a medical device" in found["info"]["description"]
    )
    assert all(one.get("description") for verbs in found["paths"].values() for one in verbs.values())
    until = time.monotonic() + 10
    while desk_of(client).catalogue.known < 3 and time.monotonic() < until:  # it looks in the background
        time.sleep(0.02)
    assert desk_of(client).catalogue.known == 3


def test_a_study_that_cannot_be_read_has_a_row_that_says_so(client, monkeypatch):
    monkeypatch.setattr(desk_of(client), "reading", lambda key: (_ for _ in ()).throw(StoreError("damaged")))
    header, row = (line.split(",") for line in client.get(f"/api/studies/{WHOLE}/numbers.csv").text.splitlines())
    assert row[header.index("flags")] == "error: this study cannot be read"
    assert row[header.index("contour_lvef_pct")] == ""


def test_infinite_labels_are_missing_ones(serve, tmp_path):
    path = fill(tmp_path / "infinite")
    (path / "labels.csv").write_text(f"key,lvef,edv\n{WHOLE},inf,120\n{LONG},35,-inf\n{OTHER},48,140\n")
    client = serve(path)
    rows = {row["key"]: row["label_lvef"] for row in client.get("/api/studies").json()["rows"]}
    assert rows == {WHOLE: None, LONG: 35.0, OTHER: 48.0}
    columns = {one["name"]: one for one in client.get("/api/columns").json()["columns"]}
    assert set(columns["lvef"]["values"]) == {"35", "48"}
    assert "lvef" not in client.get(f"/api/studies/{WHOLE}").json()["labels"]
    for name in ("lvef", "edv"):
        found = client.post("/api/cohort/column", json={"name": name, "keys": [WHOLE, LONG, OTHER]}).json()
        assert found["known"] == 2
    assert client.get("/api/cohort/subgroups", params={"by": "edv"}).status_code == 200
    assert client.get("/api/studies", params={"sort": "lvef", "between": "lvef:40:"}).json()["total"] == 1


def test_no_page_shows_an_age_over_89_or_a_column_that_names_somebody(serve, tmp_path):
    path = fill(tmp_path / "old")
    (path / "labels.csv").write_text(
        f"key,patient,session,age,lvef\n{WHOLE},Quillfeather,s1,97,61\n{LONG},Sandoval,s2,,35\n{OTHER},Q,s1,30,48\n"
    )
    store = StudyStore(path, mode="a")
    store.write(replace(store.read(LONG), age=93.0), key=LONG)
    client = serve(path)
    answers = [client.get("/api/studies"), client.get("/api/columns"), client.get("/api/cohort/columns")]
    answers += [client.get(f"/api/studies/{key}") for key in (WHOLE, LONG)]
    answers += [client.post("/api/cohort/column", json={"name": "age", "keys": []})]
    for answer in answers:
        assert answer.status_code == 200
        for secret in ("97", "93", "Quillfeather", "session"):
            assert secret not in re.sub(r'"content":"\w+"', "", answer.text), (answer.url, secret)
    assert {row["age"] for row in answers[0].json()["rows"]} == {90.0, 30.0}
    for name in ("patient", "session"):
        for refused in (
            client.post("/api/cohort/column", json={"name": name, "keys": []}),
            client.get("/api/cohort/subgroups", params={"by": name}),
            client.get("/api/studies", params={"sort": name}),
            client.get("/api/studies", params={"label": f"{name}:Sandoval"}),
        ):
            assert refused.status_code == 422
