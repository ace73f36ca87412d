"""Fixtures for all tests."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings

from cardiolens.addresses import is_loopback

# The same examples every time; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

ROOT = Path(__file__).resolve().parents[1]


class Network:
    """Sockets as they are, but for other machines: asking for one raises, and is remembered.

    Attributes:
        open: whether the test that runs may reach other machines.
        asked: those that were asked for in vain.
    """

    def __init__(self) -> None:
        self.open, self.asked = False, []

    def check(self, host) -> None:
        own = not host or is_loopback(str(host)) or host in (socket.gethostname(), "0.0.0.0", "::")  # noqa: S104
        if not self.open and not own:
            self.asked.append(str(host))
            raise AssertionError(f"a test asked for {host}; only those marked network may reach another machine")

    def checked(self, real):
        """A method of sockets whose last argument is an address."""

        def method(own, *args):
            if own.family in (socket.AF_INET, socket.AF_INET6) and isinstance(args[-1], tuple):
                self.check(args[-1][0])
            return real(own, *args)

        return method


@pytest.fixture(scope="session", autouse=True)
def watched_sockets():
    """Watches every socket of the suite."""
    watch, patch, look_up = Network(), pytest.MonkeyPatch(), socket.getaddrinfo

    def named(host, *args, **more):
        watch.check(host.decode() if isinstance(host, bytes) else host)
        return look_up(host, *args, **more)

    for name in ("connect", "connect_ex", "sendto"):
        patch.setattr(socket.socket, name, watch.checked(getattr(socket.socket, name)))
    patch.setattr(socket, "getaddrinfo", named)
    yield watch
    patch.undo()


@pytest.fixture(autouse=True)
def no_network(request, watched_sockets):
    """Nothing but this machine can be reached, and who tries fails, whatever became of the error."""
    watched_sockets.open = request.node.get_closest_marker("network") is not None
    yield
    asked = watched_sockets.asked[:]
    watched_sockets.asked.clear()
    assert not asked, f"this test asked for {asked}"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real test data (`CARDIOLENS_TEST_DATA`, default ../shared); the test is skipped where absent."""
    root = Path(os.environ.get("CARDIOLENS_TEST_DATA", ROOT.parent / "shared"))
    if not (root / "data").is_dir():
        pytest.skip(f"real data not found in {root}; set CARDIOLENS_TEST_DATA")
    return root / "data"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The golden files, committed beside the tests."""
    return ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def predictor_folder(tmp_path_factory) -> Path:
    """A checkpoint folder of a tiny model with random weights, an LVEF head, an interval and a domain reference."""
    from synthetic_studies import save_predictor

    return save_predictor(tmp_path_factory.mktemp("predictor") / "model")
