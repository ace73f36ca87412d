"""Bars keep to the error stream, and to terminals."""

import sys

import pytest

from cardiolens.progress import track


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_stands_on_the_error_stream_of_a_terminal_and_nowhere_else(terminal, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert list(track([3, 1, 2], "counting")) == [3, 1, 2]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert ("counting" in printed.err) is terminal
