"""`cardiolens doctor`: fast, offline, honest about what is missing."""

import importlib.metadata
import json
import socket
import subprocess
import sys

import pytest

from cardiolens import doctor
from cardiolens.cli import main


def run_cli(*args: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(args))
    return int(left.value.code or 0)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)


def test_it_answers_offline_with_every_section(no_network, capsys):
    assert run_cli("doctor", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["problems"] == []
    assert {"torch", "h5py", "pydicom"} <= {package["name"] for package in facts["packages"]}
    assert {codec["name"] for codec in facts["codecs"] if codec["available"]} == set(doctor.SYNTAXES.values())
    assert facts["machine"]["cores"] >= 1
    assert facts["weights"]["places"][0]["place"] == "the folder CARDIOLENS_WEIGHTS"
    assert run_cli("doctor") == 0
    assert "Everything needed is here." in capsys.readouterr().out


def test_it_imports_neither_torch_nor_transformers():
    code = (
        "import sys, cardiolens.doctor as d; d.examine(); "
        "print(sorted({'torch', 'transformers', 'lightning'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_missing_package_is_a_problem_and_the_exit_code_tells(monkeypatch, capsys):
    genuine = importlib.metadata.version

    def without_h5py(name: str) -> str:
        if name == "h5py":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.1" if name == "nibabel" else genuine(name)

    monkeypatch.setattr(importlib.metadata, "version", without_h5py)
    assert run_cli("doctor") == 1
    told = capsys.readouterr().out
    assert "h5py: not installed" in told and "nibabel: 0.1 is installed, >=" in told


def test_weights_in_the_named_folder_are_found(monkeypatch, tmp_path):
    folder = tmp_path / "shad-mvit-tiny" / "mine"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"")
    monkeypatch.setenv("CARDIOLENS_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    weights = doctor.examine()["weights"]
    assert weights["found"]["shad-mvit-tiny:mine"] == str(folder)
    assert weights["absent"]["shad-mvit-b16:cmr_c0.1"] == "https://huggingface.co/rohanshad/cmr_c0.1"


def test_the_key_itself_is_never_told(monkeypatch, capsys):
    monkeypatch.setenv("CARDIOLENS_KEY", "not to be shown to anyone")
    run_cli("doctor", "--json")
    assert "not to be shown" not in capsys.readouterr().out
