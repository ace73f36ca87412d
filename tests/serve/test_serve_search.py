"""Search by words and by likeness, scores of a phrase, the cohort."""

import pytest
from served import LONG, OTHER, WHOLE, desk_of, done


def test_before_the_store_is_embedded_every_search_says_so(client):
    for path in ("/api/search?q=normal", f"/api/studies/{WHOLE}/similar"):
        answer = client.get(path)
        assert answer.status_code == 422 and "make the index first" in answer.json()["error"]
    assert client.get("/api/cohort/map").json()["there"] is False


def test_words_likeness_and_phrases_rank_the_store(client):
    assert done(client, client.post("/api/jobs", json={"kind": "embed"})).state == "done"
    found = client.get("/api/search", params={"q": "normal left ventricle"}).json()
    assert {hit["key"] for hit in found["hits"]} == {WHOLE, LONG, OTHER} and found["searched"] == 3
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True) and found["hits"][0]["clips"]
    alike = client.get(f"/api/studies/{WHOLE}/similar").json()["hits"]
    assert alike[0]["key"] == OTHER and WHOLE not in {hit["key"] for hit in alike}  # the same heart, darker
    scored = client.post("/api/zeroshot", json={"phrase": "dilated left ventricle"}).json()
    assert len(scored["scores"]) == 3 and sum(scored["histogram"]["counts"]) == 3
    assert "empty query" in client.get("/api/search", params={"q": " "}).json()["error"]
    job = done(client, client.post("/api/jobs", json={"kind": "map"}))
    assert job.state == "failed" and "four or more" in job.message
    state = client.get("/api/about").json()["index"]
    assert (state["there"], state["studies"], state["missing"]) == (True, 3, 0)


def test_columns_have_distributions_and_subgroups(client):
    names = [one["name"] for one in client.get("/api/cohort/columns").json()["columns"]]
    assert {"lvef", "scanner", "sex", "predicted_lvef"} <= set(names) and any(
        n.startswith("probability:") for n in names
    )
    groups = client.post("/api/cohort/column", json={"name": "scanner"}).json()
    assert groups["groups"] == [{"name": "A", "n": 2}, {"name": "B", "n": 1}] and groups["values"] == ["A", "B", "A"]
    table = client.get("/api/cohort/subgroups", params={"by": "sex"}).json()["rows"]
    assert [(row["group"], row["n"]) for row in table] == [("M", 2), ("F", 1), ("all", 3)]
    assert all("label_mean" not in row for row in table)  # too few for a mean
    assert client.post("/api/cohort/column", json={"name": "nothing"}).status_code == 422


@pytest.mark.parametrize(
    "path", ["/", "/search", "/cohort", "/upload", "/jobs", "/docs", "/study/site_p1/a1", "/favicon.ico"]
)
def test_every_page_is_served_and_none_is_kept(client, path):
    answer = client.get(path)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"


def test_figures_that_are_not_to_be_used_are_left_out_of_the_cohort_and_counted(client):
    desk = desk_of(client)
    facts = {"lvef": 12.0, "out_of_domain": True, "probability": {"myocarditis": 0.9}, "contour_lvef": 90.0}
    desk.results._put_short((WHOLE, desk.content(WHOLE)), {**facts, "contour_worst": "error"})
    desk.results._put_short(
        (LONG, desk.content(LONG)), {**facts, "lvef": 55.0, "out_of_domain": False, "contour_worst": None}
    )
    for name, value in (("predicted_lvef", "55"), ("probability:myocarditis", "0.9"), ("contour_lvef", "90")):
        found = client.post("/api/cohort/column", json={"name": name, "keys": [WHOLE, LONG]}).json()
        assert found["values"] == [None, value] and found["void"] == 1
    assert client.get("/api/cohort/subgroups", params={"by": "sex"}).json()["void"] == 1


def test_columns_are_of_studies_of_the_store_alone(client):
    asked = {"name": "age", "keys": [WHOLE, "../../etc/passwd"]}
    assert client.post("/api/cohort/column", json=asked).status_code == 404
    assert set(desk_of(client).catalogue._facts) <= set(desk_of(client).catalogue.keys)
