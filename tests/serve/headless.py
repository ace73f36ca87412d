"""A headless Chromium driven over the DevTools protocol through a pipe: no driver and no socket needed."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cardiolens.serve.export import find_browser

# Puts the pipes where Chromium looks for them, 3 and 4, and becomes it.
_START = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One page of a headless Chromium; errors of its scripts are gathered in `errors`."""

    def __init__(self, width: int = 1280, height: int = 800) -> None:
        browser = find_browser()
        assert browser, "ask find_browser() first"
        self.profile = tempfile.mkdtemp(prefix="cardiolens-browser-")
        down, up = os.pipe(), os.pipe()
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--remote-debugging-pipe", f"--user-data-dir={self.profile}", f"--window-size={width},{height}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ]  # fmt: skip
        pipes = [str(down[0]), str(up[1]), browser, *command[1:]]
        start = [sys.executable, "-c", _START, *pipes]
        self.process = subprocess.Popen(start, pass_fds=(down[0], up[1]), stderr=subprocess.DEVNULL)
        os.close(down[0])
        os.close(up[1])
        self._out, self._in = os.fdopen(down[1], "wb", 0), os.fdopen(up[0], "rb", 0)
        self._numbers, self._rest, self.errors = itertools.count(1), b"", []
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def call(self, method: str, **params):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _next(self):
        while b"\0" not in self._rest:
            part = self._in.read(1 << 20)
            assert part, "the browser has ended"
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(line)
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            entry = message["params"]["entry"]
            self.errors.append(f"{entry['text']} {entry.get('url', '')}")
        elif message.get("method") == "Page.javascriptDialogOpening":
            self.errors.append(f"dialog: {message['params']['message']}")
        return message

    def go(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def run(self, script: str):
        """Value of an expression; promises are awaited."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 15.0):
        """Wait until an expression is true; its value, true for an object."""
        plain = "return v && typeof v === 'object' && !Array.isArray(v) ? true : v;"
        asked = f"(() => {{ const v = {script}; {plain} }})()"
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if value := self.run(asked):
                    return value
            except AssertionError:
                pass  # the page is changing
            time.sleep(0.05)
        page = self.run("document.body.innerText")[:600]
        raise AssertionError(f"not within {seconds} s: {script}; on the page: {page}; errors: {self.errors}")

    def press(self, key: str, shift: bool = False) -> None:
        text = key if len(key) == 1 else ""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=text if kind == "keyDown" else "",
                      modifiers=8 if shift else 0)  # fmt: skip

    def drag(self, points) -> None:
        """The mouse held down from the first point to the last, CSS pixels."""
        x, y = points[0]
        mouse = {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **mouse)
        for x, y in points[1:]:
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, buttons=1, button="left")
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, **mouse)

    def picture(self, path: Path, **how) -> None:
        found = self.call("Page.captureScreenshot", format="png", **how)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        try:
            self.session = None
            self.call("Browser.close")
        except (AssertionError, OSError):
            self.process.kill()
        self.process.wait(10)
        for pipe in (self._out, self._in):
            pipe.close()
        shutil.rmtree(self.profile, ignore_errors=True)
