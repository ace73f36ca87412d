"""The suite itself: no test reaches another machine."""

import socket
import urllib.request

import pytest

FAR = "192.0.2.1"  # RFC 5737: for documentation, nobody's


@pytest.fixture
def found_out(watched_sockets):
    """Addresses that were asked for in vain; forgotten afterwards, so that this test does not fail for them."""
    yield watched_sockets.asked
    watched_sockets.asked.clear()


@pytest.mark.parametrize("way", ["connect", "connect_ex", "sendto", "name", "http"])
def test_another_machine_cannot_be_reached_and_who_tries_is_found_out(way, found_out, no_network):
    kind = socket.SOCK_DGRAM if way == "sendto" else socket.SOCK_STREAM
    with socket.socket(type=kind) as one, pytest.raises(AssertionError, match="only those marked network"):
        if way == "name":
            socket.create_connection(("archive.example", 80), timeout=1)
        elif way == "http":
            urllib.request.urlopen(f"http://{FAR}/", timeout=1)
        elif way == "sendto":
            one.sendto(b"x", (FAR, 9))
        else:
            getattr(one, way)((FAR, 9))
    assert found_out == ["archive.example" if way == "name" else FAR]


def test_this_machine_can_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as here:
        socket.create_connection(("localhost", here.getsockname()[1]), timeout=5).close()
        socket.create_connection(here.getsockname(), timeout=5).close()


@pytest.mark.network
def test_a_marked_test_may(watched_sockets):
    assert watched_sockets.open
