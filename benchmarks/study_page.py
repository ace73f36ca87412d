"""The study page: until it is painted, shows the images, the figures and the contours; memory of the server.

    python benchmarks/study_page.py [--loads 5] [--draws 5] [--threads 1] [--write]

One phantom study of ordinary size (short axis of 10 planes and the three long axes, 25 phases), read by the bundled
models, behind `cardiolens serve` in a process of its own on this machine.  Each load is a first visit: the browser's
cache is off.  Three states of the server, the same page:
  in memory     the study was looked at before
  on disk       the server was started anew: contours are unpacked and measured
  drawn anew    no contours are kept: they are asked for, and the page is opened when they are drawn
A headless Chromium says when it painted first and when each answer was there (Navigation and Resource Timing); without
one, the page and its answers are fetched one after the other and nothing is painted.  Memory is the resident set of the
server (Linux alone tells it).
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from cardiolens import __version__
from cardiolens.phantom import render_study, sample_parameters
from cardiolens.phantom.mr.protocol import Protocol
from cardiolens.serve.export import find_browser
from cardiolens.store import StudyStore

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "benchmarks" / "study_page.md"
PHASES, PLANES = 25, 10
IN_MEMORY, ON_DISK, ANEW = "in memory", "on disk", "drawn anew"
STEPS = ("first byte", "first paint", "first image", "figures", "first contour")
TIMES = """(() => {
  const [page] = performance.getEntriesByType("navigation"), paint = performance.getEntriesByType("paint");
  const of = (part) => performance.getEntriesByType("resource").filter((one) => one.name.includes(part));
  const first = (part) => Math.min(...of(part).map((one) => one.responseEnd));
  return {"first byte": page.responseStart, "first paint": Math.min(...paint.map((one) => one.startTime)),
    "first image": first("/frames/"), "figures": first("/reading"), "first contour": first("/labels/")};
})()"""
SHOWN = "window.cardiolens && cardiolens.player.leading.frames.size && cardiolens.player.leading.labels.size"


@dataclass
class Server:
    """`cardiolens serve` while it runs."""

    process: subprocess.Popen[str]
    address: str

    def memory(self, what: str) -> float | None:
        """MiB: "VmRSS" now, "VmHWM" at most; None where the system does not say."""
        path = Path(f"/proc/{self.process.pid}/status")
        if not path.is_file():
            return None
        line = next(line for line in path.read_text().splitlines() if line.startswith(what))
        return int(line.split()[1]) / 1024

    def ask(self, path: str, body: object = None) -> bytes:
        """An answer of the API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310 - its own server
            content: bytes = answer.read()
            return content

    def work(self, kind: str, key: str) -> float:
        """Have a study read or drawn; seconds until it is."""
        start = time.perf_counter()
        job = json.loads(self.ask("/api/jobs", {"kind": kind, "keys": [key]}))
        while job["state"] in ("queued", "running"):
            time.sleep(0.1)
            job = json.loads(self.ask(f"/api/jobs/{job['id']}"))
        assert job["state"] == "done", job["message"]
        return time.perf_counter() - start


@contextmanager
def served(store: Path, threads: int) -> Iterator[Server]:
    """A server over a store, in a process of its own."""
    command = [sys.executable, "-m", "cardiolens", "serve", "--store", str(store), "--port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        server = Server(process, process.stdout.readline().split()[0].rstrip("/"))
        server.ask("/api/about")
        yield server
    finally:
        process.terminate()
        process.wait(30)


def make_study(folder: Path) -> str:
    """A store of one study; its key."""
    heart = sample_parameters(np.random.default_rng(5))
    study = render_study(heart, seed=5, protocol=Protocol(phases=PHASES, sax_planes=PLANES))
    return StudyStore(folder, mode="a").write(replace(study, patient="phantom", accession="1"))


Load = Callable[[Server, str], dict[str, float]]


def by_browser() -> Load:
    """Loads in a headless Chromium: ms of each step since the visit began."""
    sys.path.insert(0, str(ROOT / "tests" / "serve"))
    from headless import Browser

    browser = Browser()
    atexit.register(browser.close)
    browser.call("Network.enable")
    browser.call("Network.setCacheDisabled", cacheDisabled=True)

    def load(server: Server, key: str) -> dict[str, float]:
        browser.go("about:blank")
        browser.go(f"{server.address}/study/{key}")
        browser.wait(SHOWN, 300)
        found: dict[str, float] = browser.run(TIMES)
        browser.go("about:blank")  # a loop that plays takes a core of the server's
        return found

    return load


def by_requests(server: Server, key: str) -> dict[str, float]:
    """Without a browser: ms until each answer is there, one after the other; nothing is painted."""
    start = time.perf_counter()
    took = {}
    server.ask(f"/study/{key}")
    took["first byte"] = 1000 * (time.perf_counter() - start)
    server.ask(f"/api/studies/{key}")
    paths = {"figures": "reading", "first image": "frames/SAX/5", "first contour": "labels/SAX/5"}
    for step, path in paths.items():
        server.ask(f"/api/studies/{key}/{path}")
        took[step] = 1000 * (time.perf_counter() - start)
    return took


def measure(
    folder: Path, loads: int, draws: int, threads: int, load: Load
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Medians of the steps in ms by state of the server, and MiB of the server by moment."""
    store, rows, memory = folder / "store", {}, {}
    key = make_study(store)
    with served(store, threads) as server:
        memory["started, models loaded"] = server.memory("VmRSS")
        server.work("predict", key)
        server.work("segment", key)
        memory["most while it read and drew the study"] = server.memory("VmHWM")
        load(server, key)
        rows[IN_MEMORY] = [load(server, key) for _ in range(loads)]
        print(f"{IN_MEMORY}: {rows[IN_MEMORY]}", flush=True)
        memory[f"after {loads + 1} visits"] = server.memory("VmRSS")
    rows[ON_DISK] = []
    for _ in range(loads):
        with served(store, threads) as server:
            rows[ON_DISK].append(load(server, key))
            memory["started anew, one visit"] = server.memory("VmRSS")
    print(f"{ON_DISK}: {rows[ON_DISK]}", flush=True)
    rows[ANEW] = []
    for _ in range(draws):
        for path in (store.with_name("store.serve") / "results").rglob("contours.npz"):
            path.unlink()
        with served(store, threads) as server:
            waited = 1000 * server.work("segment", key)
            rows[ANEW].append({step: waited + ms for step, ms in load(server, key).items()})
        print(f"drawn anew: {waited / 1000:.1f} s", flush=True)
    medians = {
        state: {step: statistics.median(one[step] for one in found) for step in STEPS if step in found[0]}
        for state, found in rows.items()
    }
    return medians, {when: mib for when, mib in memory.items() if mib is not None}


def page(rows: dict[str, dict[str, float]], memory: dict[str, float], asked: argparse.Namespace, how: str) -> str:
    """The report: Markdown."""
    steps = [step for step in STEPS if step in rows[IN_MEMORY]]
    lines = [
        "# The study page",
        "",
        f"`python benchmarks/study_page.py --loads {asked.loads} --draws {asked.draws} --threads {asked.threads} "
        f"--write`, {date.today().isoformat()}, "
        f"cardiolens {__version__}, {platform.machine()} CPU, {how}.  One phantom study, {PLANES} SAX planes and three "
        f"long axes, {PHASES} phases; medians of {asked.loads} first visits (drawn anew: {asked.draws}), in ms since "
        "the visit began, server and browser on one machine.  These machines are noisy: trust the ratios.  Research "
        "use only, not a medical device.",
        "",
        f"| contours | {' | '.join(steps)} | first contour to the first row |",
        f"|---|{'---:|' * (len(steps) + 1)}",
    ]
    for state, row in rows.items():
        ratio = row["first contour"] / rows[IN_MEMORY]["first contour"]
        cells = " | ".join(f"{row[step]:,.0f}" for step in steps)
        lines.append(f"| {state} | {cells} | {ratio:,.1f} |")
    lines += [
        "",
        "*In memory*: the study was looked at before.  *On disk*: the server was started anew.  *Drawn anew*: no "
        "contours were kept; the time from asking for them counts, and the page is opened when they are there.",
        "",
    ]
    if memory:
        lines += ["| the server | resident MiB |", "|---|---:|"]
        lines += [f"| {when} | {mib:,.0f} |" for when, mib in memory.items()] + [""]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=int, default=5, help="visits of each kind; at least 5 for figures to be told")
    parser.add_argument("--draws", type=int, default=5, help="times that the contours are drawn anew")
    parser.add_argument("--threads", type=int, default=1, help="of the server")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name} in docs/benchmarks")
    options = parser.parse_args()
    browser = find_browser()
    load = by_browser() if browser else by_requests
    folder = Path(tempfile.mkdtemp(prefix="cardiolens-study-page-"))
    try:
        rows, memory = measure(folder, options.loads, options.draws, options.threads, load)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    how = "a headless Chromium, its cache off" if browser else "no browser: answers fetched one after the other"
    text = page(rows, memory, options, how)
    print(text)
    if options.write:
        TABLE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
