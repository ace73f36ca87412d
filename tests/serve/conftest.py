"""A tiny store with a phantom, a hostile report and a study of one view; a server over it."""

import pytest

pytest.importorskip("fastapi", reason="the extra cardiolens[serve] is not installed")

from fastapi.testclient import TestClient
from served import fill

from cardiolens.hub import load_model
from cardiolens.serve import Settings, make_app
from cardiolens.serve.engines import Engines
from drawn_phantom import Oracle


@pytest.fixture(autouse=True)
def pseudonym_key(monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", "a key for tests, long enough")


@pytest.fixture(scope="session")
def model():
    return load_model("shad-mvit-tiny:phantom")


@pytest.fixture
def engines(model):
    return Engines(model, Oracle())


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """A store that no test changes."""
    return fill(tmp_path_factory.mktemp("served") / "store")


@pytest.fixture
def serve(filled, engines, tmp_path):
    """Makes a client of a server; arguments go to the settings."""
    opened = []

    def start(store=filled, **settings):
        settings = {"out": tmp_path / "out", **settings}
        for client in [one for one in opened if one.app.state.desk.settings.work == settings["out"]]:
            opened.remove(client)
            client.__exit__(None, None, None)
        client = TestClient(make_app(Settings(store, **settings), engines), base_url="http://127.0.0.1:8000")
        client.__enter__()
        opened.append(client)
        return client

    yield start
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve):
    return serve()
