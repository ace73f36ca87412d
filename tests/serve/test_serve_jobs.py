"""Long work: states in words, one after the other, kept results, what a killed server had begun."""

import json
import threading
from dataclasses import replace

import pytest
from served import LONG, OTHER, WHOLE, desk_of, done

from cardiolens.errors import InputError, StoreError
from cardiolens.serve import make_app
from cardiolens.serve.engines import Engines
from cardiolens.serve.jobs import Jobs
from cardiolens.serve.results import Results
from drawn_phantom import Oracle


def test_what_was_read_and_drawn_is_not_computed_again_after_a_restart(serve, engines):
    first = serve()
    for kind in ("predict", "segment"):
        assert done(first, first.post("/api/jobs", json={"kind": kind, "keys": [WHOLE]})).state == "done"
    before = first.get(f"/api/studies/{WHOLE}/reading").json()
    drawn = len(engines.segmenter.drawn)
    engines.predictor.__class__ = type("Never", (type(engines.predictor),), {"__call__": None})
    second = serve()
    for kind in ("predict", "segment"):
        assert done(second, second.post("/api/jobs", json={"kind": kind, "keys": [WHOLE]})).state == "done"
    assert second.get(f"/api/studies/{WHOLE}/reading").json() == before and len(engines.segmenter.drawn) == drawn


def test_results_of_another_model_are_not_taken(serve, model):
    first = serve()
    done(first, first.post("/api/jobs", json={"kind": "segment", "keys": [WHOLE]}))

    class OtherOracle(Oracle):
        pass

    first.app.state.desk.engines.segmenter = OtherOracle()
    assert first.get(f"/api/studies/{WHOLE}/reading").json()["contours"] is None
    assert Engines(model, OtherOracle()).draws != Engines(model, Oracle()).draws


def test_a_damaged_result_is_made_anew(client):
    done(client, client.post("/api/jobs", json={"kind": "predict", "keys": [WHOLE]}))
    [path] = desk_of(client).settings.work.rglob("prediction.npz")
    path.write_bytes(b"damaged")
    assert "delete it" in client.get(f"/api/studies/{WHOLE}/reading").json()["no_prediction"]
    done(client, client.post("/api/jobs", json={"kind": "predict", "keys": [WHOLE]}))
    assert client.get(f"/api/studies/{WHOLE}/reading").json()["prediction"]["lvef_pct"] is not None


def test_one_study_that_fails_is_named_and_the_others_are_done(client, monkeypatch):
    desk = desk_of(client)
    real = desk.results.predict

    def predict(study, content, check):
        if content == desk.content(LONG):
            raise StoreError("pixels are damaged")
        return real(study, content, check)

    monkeypatch.setattr(desk.results, "predict", predict)
    job = done(client, client.post("/api/jobs", json={"kind": "predict", "keys": [WHOLE, LONG, OTHER]}))
    assert job.state == "done" and "2 studies read, 1 not" in job.message and "pixels are damaged" in job.message
    job = done(client, client.post("/api/jobs", json={"kind": "predict", "keys": [LONG]}))
    assert (job.state, job.message) == ("failed", "pixels are damaged")


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [({"kind": "predict"}, 422, "which studies"), ({"kind": "predict", "keys": ["a/b"]}, 404, "not in the store"),
     ({"kind": "upload"}, 422, "kind"), ({"kind": "rm"}, 422, "kind")],
)  # fmt: skip
def test_work_that_makes_no_sense_is_refused(client, asked, status, words):
    answer = client.post("/api/jobs", json=asked)
    assert answer.status_code == status and words in answer.json()["error"]


def test_without_a_segmenter_the_reason_is_told(serve, model, engines):
    client = serve()
    client.app.state.desk.engines.segmenter = None
    client.app.state.desk.engines.no_segmenter = "No segmenter is installed."
    answer = client.post("/api/jobs", json={"kind": "segment", "keys": [WHOLE]})
    assert "No segmenter" in answer.json()["error"]
    assert client.get(f"/api/studies/{WHOLE}/reading").json()["no_contours"] == "No segmenter is installed."
    assert client.get("/api/jobs/none").status_code == 404


def make(tmp_path, **workers):
    jobs = Jobs(tmp_path / "jobs", workers)
    jobs.start()
    return jobs


def test_progress_stop_and_faults_are_told(tmp_path):
    going, on = threading.Event(), threading.Event()

    def slow(asked, tell):
        tell("half way", 1, 2)
        going.set()
        on.wait(10)
        tell("further", 2, 2)
        return "never", {}

    def broken(asked, tell):
        raise RuntimeError("a secret of the program")

    jobs = make(tmp_path, slow=slow, broken=broken)
    first, second, third = jobs.add("slow", {}), jobs.add("broken", {}), jobs.add("slow", {"n": 2})
    assert jobs.add("slow", {"n": 2}) == third  # asked for twice, done once
    going.wait(10)
    assert (jobs.get(first.id).message, jobs.get(first.id).done, jobs.get(second.id).state) == ("half way", 1, "queued")
    assert jobs.stop(third.id).state == "stopped"
    jobs.stop(first.id)
    on.set()
    assert jobs.wait(first.id).state == "stopped"
    failed = jobs.wait(second.id)
    assert failed.state == "failed" and "secret" not in failed.message
    with pytest.raises(InputError, match="ended"):
        jobs.stop(first.id)
    jobs.close()


def test_what_a_killed_server_had_begun_is_done_at_the_next_start(tmp_path):
    folder = tmp_path / "jobs"
    waiting = Jobs(folder, {"work": None}).add("work", {"keys": ["a/b"]})
    path = folder / f"{waiting.id}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "state": "running", "done": 3}))
    (folder / "torn.json").write_text('{"id": ')
    jobs = make(tmp_path, work=lambda asked, tell: ("done again", {"asked": asked["keys"]}))
    job = jobs.wait(waiting.id, 10)
    assert (job.state, job.message, job.result) == ("done", "done again", {"asked": ["a/b"]})
    jobs.close()


def test_a_server_that_closes_leaves_the_running_job_for_the_next_start(tmp_path):
    going = threading.Event()

    def slow(asked, tell):
        while True:
            going.set()
            tell("on and on", 0, 0)

    jobs = make(tmp_path, slow=slow)
    job = jobs.add("slow", {})
    going.wait(10)
    jobs.close()
    assert Jobs(tmp_path / "jobs", {"slow": slow}).get(job.id) == replace(
        job, message="Waiting; the server was stopped while it ran"
    )


def test_a_single_study_is_done_in_the_midst_of_a_job_over_many(tmp_path):
    order = []

    def work(asked, tell):
        for key in asked["keys"]:
            order.append(key)
            if key == "a/1":
                jobs.add("work", {"keys": ["b/0"]})
                jobs.add("work", {"keys": ["c/0", "c/1", "c/2"]})
            tell("at work", 0, 0)
        return "done", {}

    jobs = make(tmp_path, work=work)
    many = jobs.add("work", {"keys": [f"a/{i}" for i in range(4)]})
    assert jobs.wait(many.id, 10).state == "done"
    assert order[:5] == ["a/0", "a/1", "b/0", "a/2", "a/3"]
    assert all(jobs.wait(job.id, 10).state == "done" for job in jobs.all())
    jobs.close()


def test_a_second_server_in_the_same_folder_is_refused_until_the_first_has_ended(client, filled, engines):
    settings = desk_of(client).settings
    with pytest.raises(StoreError, match="another server works in"):
        make_app(settings, engines)
    desk_of(client).close()
    make_app(settings, engines).state.desk.close()


def test_an_answer_names_the_first_studies_of_a_job_and_counts_all(client):
    desk, keys = desk_of(client), [f"site_p{i}/a{i}" for i in range(500)]
    desk.jobs.workers = {
        "predict": lambda asked, tell: ("done", {"keys": keys[:400], "failed": dict.fromkeys(keys, "why")})
    }
    job = desk.jobs.wait(desk.jobs.add("predict", {"keys": keys}).id)
    answer = client.get(f"/api/jobs/{job.id}")
    told = answer.json()
    assert (told["asked"]["studies"], told["result"]["studies"], told["result"]["failures"]) == (500, 400, 500)
    assert told["asked"]["keys"] == told["result"]["keys"] == list(told["result"]["failed"]) == keys[:20]
    assert len(answer.content) < 3000 and len(desk.jobs.get(job.id).result["keys"]) == 400


def test_figures_of_the_work_list_are_appended_and_outlive_a_kill_in_the_middle_of_a_line(tmp_path):
    class Named:
        reads, draws = "video", "drawer"

    held = Results(tmp_path, Named())
    for i in range(300):
        held._put_short(("", f"c{i}"), {"lvef": float(i)})
    inode = next(tmp_path.glob("short-*")).stat().st_ino
    held._put_short(("k/a", "c1"), {"corrected": True})
    assert next(tmp_path.glob("short-*")).stat().st_ino == inode  # one file that grows, not a new one a study
    with next(tmp_path.glob("short-*")).open("ab") as out:
        out.write(b'{"key": "", "content": "c2", "fac')
    for _ in range(2):
        again = Results(tmp_path, Named())
        assert again.short("k/a", "c1") == {"lvef": 1.0, "corrected": True}
        assert again.short("k/b", "c1") == {"lvef": 1.0} and again.short("", "c299") == {"lvef": 299.0}
        again._put_short(("", "c2"), {"lvef": 5.0})
    assert Results(tmp_path, Named()).short("any/key", "c2") == {"lvef": 5.0}
