"""The real pages in a headless Chromium: work-list, study, search, upload, bad upload, token."""

import threading
import time

import pytest
from headless import Browser
from served import HOSTILE, TOKEN, WHOLE, done, fill, packed, zipped

from cardiolens.serve import Settings, make_app
from cardiolens.serve.engines import Engines
from cardiolens.serve.export import find_browser
from drawn_phantom import Oracle, phantom

if find_browser() is None:
    pytest.skip("no Chromium here: install chromium, or name one in CARDIOLENS_CHROMIUM", allow_module_level=True)

uvicorn = pytest.importorskip("uvicorn")


class Served:
    """A server in a thread."""

    def __init__(self, settings, engines):
        self.app = make_app(settings, engines)
        self.server = uvicorn.Server(uvicorn.Config(self.app, port=0, log_level="error"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        end = time.monotonic() + 30
        while not self.server.started and time.monotonic() < end:
            time.sleep(0.02)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"

    def close(self):
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture(scope="module")
def desk(tmp_path_factory, model):
    """A server over a store of its own, read, drawn and embedded."""
    folder = tmp_path_factory.mktemp("browsed")
    served = Served(Settings(fill(folder / "store")), Engines(model, Oracle()))
    jobs = served.app.state.desk.jobs
    for kind, asked in (("predict", {"keys": [WHOLE]}), ("segment", {"keys": [WHOLE]}), ("embed", {})):
        assert jobs.wait(jobs.add(kind, asked).id, 60).state == "done"
    yield served
    served.close()


@pytest.fixture(scope="module")
def browser():
    found = Browser()
    yield found
    found.close()


@pytest.fixture
def page(browser):
    """The browser; a script that fails or a page that asks for something foreign fails the test."""
    browser.errors.clear()
    browser.resize(1280, 800)
    yield browser
    assert browser.errors == []


def wide(page):
    """Pixels by which a page is wider than its window."""
    return page.run("document.documentElement.scrollWidth - window.innerWidth")


def test_the_work_list_shows_text_as_text_and_filters(desk, page):
    page.go(desk.address)
    page.wait("document.querySelectorAll('.list tbody tr').length === 3")
    assert (
        HOSTILE in page.run("document.querySelector('.list tbody tr').innerText")
        and page.run("document.title") != "owned"
    )
    page.run("document.querySelector('#f-words').focus()")
    page.call("Input.insertText", text="myocarditis")
    page.wait("document.querySelectorAll('.list tbody tr').length === 1")
    page.wait("document.querySelector('canvas.loop').loop.picture")
    assert "Research use only" in page.run("document.body.innerText")
    page.resize(820, 1180)
    assert wide(page) <= 0


def test_a_study_plays_and_is_corrected_by_keyboard(desk, page):
    page.go(f"{desk.address}/study/{WHOLE}")
    ready = (
        "window.cardiolens && cardiolens.player.leading.labels.size && document.querySelectorAll('.big').length === 2"
    )
    page.wait(ready)
    page.run("cardiolens.player.stop()")
    pixels = "c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
    page.wait(f"(c => {pixels}.some((v, i) => i % 4 < 3 && v > 120))(cardiolens.player.leading.canvas)")
    lvef = "document.querySelectorAll('.big')[1].innerText"
    first, plane = page.run(lvef), page.run("cardiolens.player.active.plane")
    page.press("ArrowUp")
    assert page.run("cardiolens.player.active.plane") == plane - 1
    page.press("d")
    page.wait("cardiolens.player.phase === cardiolens.player.reading.contours.ed")
    page.press("s")
    page.press("ArrowRight")
    page.press("S", shift=True)
    page.wait(f"{lvef} !== {first!r}" if first else "true")
    page.wait("document.querySelector('.mark.moved')")
    page.press("z")
    page.wait(f"{lvef} === {first!r}")
    page.resize(820, 1180)
    page.wait("document.querySelector('.view canvas').clientWidth > 100")
    assert wide(page) <= 0


def test_images_come_before_what_is_known_of_the_study_and_a_failure_of_that_is_told(desk, page):
    script = (
        "window.sent = []; const ask = window.fetch; window.fetch = (where, ...rest) =>"
        " (rest[0]?.method === 'POST' && window.sent.push(String(where)), String(where).endsWith('/reading'))"
        " ? new Promise((_, fail) => { window.failReading = () => fail(new Error('the power is out')); })"
        " : ask(where, ...rest);"
    )
    added = page.call("Page.addScriptToEvaluateOnNewDocument", source=script)["identifier"]
    try:
        page.go(f"{desk.address}/study/{WHOLE}")
        page.wait("window.cardiolens && cardiolens.player.leading.frames.size")
        assert page.run("cardiolens.player.reading") is None
        assert "Looking up" in page.run("document.querySelector('#tab').innerText")
        page.press("z")
        page.wait("document.body.innerText.includes('still looked up')")
        page.press("S", shift=True)
        assert page.run("window.sent") == []
        page.run("failReading()")
        page.wait("document.querySelector('#tab [role=alert]')")
        assert page.run("cardiolens.player.leading.frames.size") > 0
    finally:
        page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=added)


def test_a_contour_is_pulled_with_the_mouse(desk, page):
    page.go(f"{desk.address}/study/{WHOLE}")
    page.wait("window.cardiolens && cardiolens.player.leading.labels.size > 0 && cardiolens.player.reading")
    page.run("cardiolens.player.stop(), cardiolens.player.go(0), cardiolens.player.activate(cardiolens.player.leading)")
    page.press("e")
    at = page.wait(
        "(() => { const v = cardiolens.player.leading, f = v.frame(), c = v.canvas.getBoundingClientRect();"
        "const p = v.linesOf('LV cavity')[0].reduce((a, q) => (q[0] > a[0] ? q : a));"
        "return [c.left + f.ox + (p[0] + 0.5) * f.px, c.top + f.oy + (p[1] + 0.5) * f.py]; })()"
    )
    page.drag([tuple(at), (at[0] + 10, at[1]), (at[0] + 30, at[1]), (at[0] + 45, at[1])])
    page.wait("cardiolens.player.reading.live.length === 1")
    page.press("z")
    page.wait("cardiolens.player.reading.live.length === 0")
    page.press("Escape")
    assert page.run("cardiolens.edit.on") is False


def test_a_finding_in_words_gives_studies_whose_loops_play(desk, page):
    page.go(f"{desk.address}/search?q=normal%20left%20ventricle")
    page.wait("document.querySelectorAll('.hit').length === 3")
    page.wait("document.querySelector('.hit canvas').loop.picture")
    assert "no probability" in page.run("document.body.innerText")


def test_uploads_through_the_page(desk, page, tmp_path):
    files = {
        "good.zip": zipped(phantom(), tmp_path / "dicom"),
        "bad.zip": packed(("inner.zip", b"x")),
        "study.txt": b"x",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    def choose(name):
        page.go(f"{desk.address}/upload")
        page.wait("document.querySelector('#file')")
        root = page.call("DOM.getDocument")["root"]["nodeId"]
        node = page.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        page.call("DOM.setFileInputFiles", files=[str(tmp_path / name)], nodeId=node)

    choose("bad.zip")
    page.wait("document.querySelector('.note.error')?.innerText.includes('another archive')")
    choose("study.txt")
    page.wait("document.querySelector('.note.error')?.innerText.includes('one zip archive')")
    page.errors.clear()  # the browser logs the 400 that was wanted
    choose("good.zip")
    page.wait("document.querySelector('.note.info')?.innerText.includes('brought in')", 30)
    page.run("document.querySelector('main ul a').click()")
    page.wait("window.cardiolens && document.querySelectorAll('.view').length === 2")


def test_the_token_page_lets_in_who_has_the_token(model, page, tmp_path, filled):
    served = Served(Settings(filled, tmp_path, token=TOKEN), Engines(model, Oracle()))
    try:
        page.go(f"{served.address}/cohort")
        for token in ("a wrong token for sure", TOKEN):
            page.wait("document.readyState === 'complete' && document.querySelector('#token')")
            page.run(f"document.querySelector('#token').value = {token!r}")
            page.run("document.querySelector('form').submit()")
            page.wait("document.querySelector('#wrong')?.innerText || document.querySelector('.cohort')")
        page.wait("document.querySelector('.cohort table')")
        assert page.run("document.cookie") == ""
    finally:
        served.close()


def test_the_report_becomes_a_pdf(serve):
    client = serve()
    done(client, client.post("/api/jobs", json={"kind": "predict", "keys": [WHOLE]}))
    answer = client.get(f"/api/studies/{WHOLE}/report.pdf")
    assert answer.status_code == 200 and answer.content.startswith(b"%PDF") and len(answer.content) > 20_000
