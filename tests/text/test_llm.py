"""The language-model labeller against a server of this process: answers, faults, cache, and what never leaves."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cardiolens.errors import InputError
from cardiolens.text.endpoint import Endpoint, EndpointFailure
from cardiolens.text.llm import LLMLabeller, checked, labels_of, schema

REPORT = "FINDINGS: The left atrium is dilated. No thrombus."
GOOD = {
    "findings": [
        {"condition": "left atrial dilation", "state": "present", "evidence": "The left atrium is dilated."},
        {"condition": "cardiac thrombus", "state": "absent", "evidence": "no thrombus"},
    ]
}


def completion(content, **message):
    return {
        "choices": [{"message": {"content": content, **message}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20},
    }


class Server(ThreadingHTTPServer):
    """Answers with `script(number of the request, body)`: a status and a body, bytes or JSON."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = lambda number, body: (200, completion(json.dumps(GOOD)))
        self.requests, self.at_once, self.most_at_once = [], 0, 0
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request, client_address):
        """A client that gave up is no fault of the server."""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.requests.append((self.path, dict(self.headers), body))
            number = len(server.requests)
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            status, answer, *headers = server.script(number, body)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in (headers[0] if headers else {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        finally:
            with server.lock:
                server.at_once -= 1

    def log_message(self, *args):
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def labeller(server, tmp_path, monkeypatch):
    monkeypatch.delenv("CARDIOLENS_LLM_KEY", raising=False)

    def make(**options):
        waits = []
        endpoint = Endpoint(
            server.url, timeout_s=options.pop("timeout_s", 5.0), retries=options.pop("retries", 2), sleep=waits.append
        )
        made = LLMLabeller(endpoint, "test-model", cache=options.pop("cache", tmp_path / "cache"), **options)
        made.waits = waits
        return made

    return make


def test_an_answer_becomes_labels_with_their_sentences(server, labeller):
    labels = labeller().label(REPORT)
    assert labels.of("present") == ("left atrial dilation",)
    assert labels.of("absent") == ("cardiac thrombus",)
    assert labels["amyloidosis"] == "not mentioned"
    assert labels.evidence("left atrial dilation")[0].sentence == "The left atrium is dilated."
    path, _, body = server.requests[0]
    assert path == "/v1/chat/completions"
    assert body["messages"][1] == {"role": "user", "content": REPORT}
    assert body["response_format"]["json_schema"] == {"name": "conditions", "strict": True, "schema": schema()}
    assert body["temperature"] == 0


def test_the_same_report_is_asked_once_and_another_model_anew(server, labeller, tmp_path):
    first = labeller()
    assert first.label_all({"a": REPORT}).counts["labelled"] == 1
    again = labeller().label_all({"a": REPORT})
    assert again.counts["from cache"] == 1
    assert len(server.requests) == 1
    labeller(cache=None).label(REPORT)
    assert len(server.requests) == 2
    other = LLMLabeller(Endpoint(server.url), "other-model", cache=tmp_path / "cache")
    other.label(REPORT)
    assert len(server.requests) == 3


def test_a_damaged_cache_file_is_asked_anew(server, labeller, tmp_path):
    labeller().label(REPORT)
    (kept,) = (tmp_path / "cache").rglob("*.json")
    kept.write_text('{"findings": [{"condition"', encoding="utf-8")
    assert labeller().label(REPORT).of("present") == ("left atrial dilation",)
    assert len(server.requests) == 2
    assert json.loads(kept.read_text(encoding="utf-8")) == GOOD


@pytest.mark.parametrize(
    ("answers", "kind", "tries"),
    [
        ([(200, b"<html>")] * 3, "broken answer", 3),
        ([(200, completion("{not json"))] * 3, "broken answer", 3),
        ([(200, completion(json.dumps({"findings": [{"condition": "gout"}]})))] * 3, "broken answer", 3),
        ([(200, {"choices": []})] * 3, "broken answer", 3),
        ([(200, completion(None, refusal="I will not"))], "refusal", 1),
        ([(500, b"")] * 3, "refused by the server", 3),
        ([(400, b"")], "refused by the server", 1),
        ([(302, b"", {"Location": "http://127.0.0.1:9/elsewhere"})], "refused by the server", 1),
    ],
)
def test_every_fault_is_counted_by_kind_and_tried_again_where_that_may_help(server, labeller, answers, kind, tries):
    server.script = lambda number, body: answers[min(number, len(answers)) - 1]
    run = labeller().label_all({"study-1": REPORT})
    assert [(f.study, f.kind) for f in run.failures] == [("study-1", kind)]
    assert run.counts[kind] == 1
    assert not run.labels
    assert "atrium" not in run.failures[0].why
    assert len(server.requests) == tries


def test_an_answer_cut_off_is_a_failure(server, labeller):
    cut = completion(json.dumps(GOOD))
    cut["choices"][0]["finish_reason"] = "length"
    server.script = lambda number, body: (200, cut)
    assert labeller().label_all({"a": REPORT}).counts["cut off"] == 1


def test_a_fault_that_passes_costs_nothing_but_time(server, labeller):
    answers = {1: (429, b"", {"Retry-After": "3"}), 2: (200, completion("oops"))}
    server.script = lambda number, body: answers.get(number, (200, completion(json.dumps(GOOD))))
    made = labeller()
    run = made.label_all({"a": REPORT})
    assert run.counts["labelled"] == 1
    assert run.counts["asked again"] == 1
    assert 2.0 < made.waits[0] < 4.0
    assert run.counts["tokens in"] == 200


def test_a_time_out_is_listed_and_the_rest_goes_on(server, labeller):
    def script(number, body):
        if "slow" in body["messages"][1]["content"]:
            time.sleep(0.6)
        return 200, completion(json.dumps(GOOD))

    server.script = script
    made = labeller(timeout_s=0.2, retries=1)
    run = made.label_all({"a": REPORT, "b": REPORT + " slow", "c": REPORT + " quick"})
    assert list(run.labels) == ["a", "c"]
    assert [(f.study, f.kind) for f in run.failures] == [("b", "time-out")]
    server.script = lambda number, body: (200, completion(json.dumps(GOOD)))
    before = len(server.requests)
    assert list(labeller().label_all({"a": REPORT, "b": REPORT + " slow", "c": REPORT + " quick"}).labels) == [
        "a",
        "b",
        "c",
    ]
    assert len(server.requests) == before + 1


def test_requests_run_side_by_side_within_the_bound(server, labeller):
    def script(number, body):
        time.sleep(0.03)
        return 200, completion(json.dumps(GOOD))

    server.script = script
    reports = {str(i): f"{REPORT} {i}" for i in range(20)}
    run = labeller(workers=3).label_all(reports)
    assert list(run.labels) == list(reports)
    assert 2 <= server.most_at_once <= 3


def test_a_wrong_key_ends_the_run_and_every_report_is_listed(server, labeller):
    server.script = lambda number, body: (401, b"key of REPORT")
    run = labeller(workers=1).label_all({str(i): f"{REPORT} {i}" for i in range(30)})
    assert len(run.failures) == 30
    assert len(server.requests) <= 3
    assert "is the key set?" in run.failures[0].why
    assert "not asked" in run.failures[-1].why


def test_a_server_that_is_gone_is_not_asked_for_ever(tmp_path):
    endpoint = Endpoint("http://127.0.0.1:9/v1", timeout_s=0.5, retries=0)
    run = LLMLabeller(endpoint, "m", workers=1).label_all({str(i): f"{REPORT} {i}" for i in range(40)})
    assert len(run.failures) == 40
    assert sum("not asked" in f.why for f in run.failures) >= 25


def test_the_key_goes_into_the_header_and_nowhere_else(server, labeller, tmp_path, monkeypatch, caplog):
    made = labeller()
    monkeypatch.setenv("CARDIOLENS_LLM_KEY", "secret-key-1")
    with caplog.at_level("DEBUG"):
        made.label(REPORT)
    assert server.requests[0][1]["Authorization"] == "Bearer secret-key-1"
    kept = "".join(p.read_text(encoding="utf-8") for p in (tmp_path / "cache").rglob("*.json"))
    assert "secret-key-1" not in kept + caplog.text + repr(made.endpoint)


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(server, labeller, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert labeller().label(REPORT).of("present")


@pytest.mark.parametrize(
    "url", ["ftp://x", "127.0.0.1", "http://example.org/v1", "https://user:pw@x.org", "http://8.8.8.8/v1"]
)
def test_an_address_that_would_expose_reports_is_refused(url):
    with pytest.raises(InputError):
        Endpoint(url)


def test_reports_with_identifiers_stay_here_unless_allowed(monkeypatch):
    sent = []
    monkeypatch.setattr(Endpoint, "chat", lambda self, body: sent.append(body) or completion(json.dumps(GOOD)))
    far = Endpoint("https://llm.example.org/v1")
    named = f"Dr. Smith, MRN 0012345. {REPORT}"
    with pytest.raises(EndpointFailure, match="not sent") as refused:
        LLMLabeller(far, "m").label(named)
    assert refused.value.kind == "withheld"
    assert "Smith" not in str(refused.value)
    assert not sent
    LLMLabeller(far, "m", allow_identifiers=True).label(named)
    LLMLabeller(far, "m").label(REPORT)
    assert len(sent) == 2


def test_evidence_that_is_not_in_the_report_makes_a_finding_uncertain():
    invented = [{"condition": "amyloidosis", "state": "present", "evidence": "Amyloidosis is seen."}]
    labels = labels_of(invented, REPORT)
    assert labels["amyloidosis"] == "uncertain"
    assert labels.evidence("amyloidosis")[0].words == "not in the report"


@pytest.mark.parametrize(
    "found",
    [
        [],
        {"findings": {}},
        {"findings": ["x"]},
        {"findings": [{"condition": "amyloidosis", "state": "maybe", "evidence": ""}]},
        {"findings": [{"condition": "amyloidosis", "state": s, "evidence": ""} for s in ("present", "absent")]},
    ],
)
def test_what_does_not_fit_the_schema_is_refused(found):
    with pytest.raises(EndpointFailure):
        checked(found)


def test_the_estimate_counts_only_what_is_not_kept_and_scales_with_the_price(server, labeller):
    made = labeller()
    made.label(REPORT)
    found = made.estimate([REPORT, REPORT + " more"], price_in=2.0, price_out=8.0)
    assert (found.reports, found.cached) == (2, 1)
    assert found.cost == pytest.approx((2 * found.tokens_in + 8 * found.tokens_out) / 1e6)
    assert made.estimate([REPORT]).tokens_in == 0
    assert made.estimate(["x"]).cost is None
    assert len(server.requests) == 1
