"""Which addresses are this machine, and no other."""

import pytest

from cardiolens.addresses import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_this_machine(host):
    assert is_loopback(host)


EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "10.0.0.1", "host.example", "127.0.0.1.evil.example", ""])
def test_anywhere_else_and_names_that_could_lead_anywhere(host):
    assert not is_loopback(host)
