"""What is installed and what is missing: the facts behind `cardiolens doctor`.  Offline, and imports nothing heavy."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from cardiolens._version import __version__

# Transfer syntaxes that MR images come in (DICOM PS3.5, annex A), with their everyday names.
SYNTAXES = {
    "1.2.840.10008.1.2": "implicit little endian, uncompressed",
    "1.2.840.10008.1.2.1": "explicit little endian, uncompressed",
    "1.2.840.10008.1.2.1.99": "deflated",
    "1.2.840.10008.1.2.2": "explicit big endian, uncompressed",
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless, first order",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "high-throughput JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.203": "high-throughput JPEG 2000",
    "1.2.840.10008.1.2.5": "RLE lossless",
}
_EXTRAS = {
    "serve": "the application in a browser",
    "pacs": "the DICOM node and pull",
    "edge": "export to ONNX, and prediction without PyTorch",
    "scale": "an index over a million clips, tables in Parquet",
    "maps": "UMAP of embeddings",
    "baselines": "UNet and ResNet from MONAI",
    "logs": "TensorBoard logs of training",
    "test": "running the tests",
    "dev": "changing cardiolens: lint and type checks",
}


def examine() -> dict[str, Any]:
    """Every fact as plain values, ready for JSON.

    Returns:
        ``packages`` (name, version, needed, problem), ``extras``, ``weights``, ``codecs``, ``machine``, ``key``, and
        ``problems``: what keeps cardiolens from working, in words.
    """
    packages, extras = _packages()
    codecs = _codecs()
    problems = [f"{p['name']}: {p['problem']}" for p in packages if p["problem"]]
    problems += [f"no decoder for {codec['name']} ({codec['uid']})" for codec in codecs if not codec["available"]]
    return {
        "cardiolens": __version__,
        "python": platform.python_version(),
        "packages": packages,
        "extras": extras,
        "weights": _weights(),
        "codecs": codecs,
        "machine": _machine(),
        "key": _key(),
        "problems": problems,
    }


def _packages() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Needed packages with versions, and the extras with what of them is missing."""
    from packaging.requirements import Requirement

    needed: list[dict[str, Any]] = []
    missing: dict[str, list[str]] = {}
    try:
        lines = importlib.metadata.requires("cardiolens") or []
    except importlib.metadata.PackageNotFoundError:  # run from a source folder
        return [{"name": "cardiolens", "version": __version__, "needed": "", "problem": "not installed with pip"}], []
    for requirement in map(Requirement, lines):
        extra = next((name for name in _EXTRAS if _only_with(requirement, name)), None)
        if extra is None and requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = _version(requirement.name)
        problem = None
        if version is None:
            problem = "not installed"
        elif not requirement.specifier.contains(version, prereleases=True):
            problem = f"{version} is installed, {requirement.specifier} is needed"
        if extra is None:
            row = {"name": requirement.name, "version": version, "needed": str(requirement.specifier)}
            needed.append(row | {"problem": problem})
        elif requirement.name != "cardiolens":
            missing.setdefault(extra, []).extend([requirement.name] if problem else [])
    extras = [{"name": name, "for": _EXTRAS[name], "missing": names} for name, names in missing.items()]
    return needed, extras


def _only_with(requirement: Any, extra: str) -> bool:
    marker = requirement.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _codecs() -> list[dict[str, Any]]:
    """Each transfer syntax with the plugins that decode it here."""
    from pydicom.pixels.decoders.base import get_decoder

    codecs = []
    for uid, name in SYNTAXES.items():
        decoder = get_decoder(uid)
        plugins = ["pydicom"] if decoder.is_native else list(decoder.available_plugins)
        codecs.append({"uid": uid, "name": name, "available": decoder.is_available, "with": plugins})
    return codecs


def _weights() -> dict[str, Any]:
    """Where weights are looked for, in this order, and what lies there."""
    from cardiolens.models.locate import BUNDLED, local_tags, weights_folder
    from cardiolens.models.registry import MODELS

    named = weights_folder()
    places = [
        {
            "place": "the folder CARDIOLENS_WEIGHTS",
            "path": None if named is None else str(named),
            "exists": named is not None and named.is_dir(),
        },
        {"place": "in the package", "path": str(BUNDLED), "exists": BUNDLED.is_dir()},
        {"place": "the Hugging Face cache", "path": str(_hub_cache()), "exists": _hub_cache().is_dir()},
    ]
    found = {f"{name}:{tag}": str(path) for name in MODELS for tag, path in local_tags(name).items()}
    absent = {}
    for name, entry in MODELS.items():
        for tag, hub in entry.hub.items():
            cached = _hub_cache() / f"models--{hub.hub_id.replace('/', '--')}" / "snapshots"
            there = list(cached.glob(f"*/{hub.file}")) if hub.file else [cached] if cached.is_dir() else []
            if there:
                found.setdefault(f"{name}:{tag}", str(there[0]))
            elif f"{name}:{tag}" not in found:
                absent[f"{name}:{tag}"] = hub.url
    return {"places": places, "found": found, "absent": absent}


def _hub_cache() -> Path:
    """As huggingface_hub documents it: HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser()
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(home).expanduser() / "hub"


def _machine() -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        memory = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (ValueError, OSError, AttributeError):  # not a POSIX system
        memory = None
    torch = _version("torch") or ""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores,
        "memory_gib": memory,
        "free_disk_gib": round(shutil.disk_usage(Path.cwd()).free / 2**30, 1),
        "gpus": _gpus(),
        "torch_build": "CPU only" if torch.endswith("+cpu") else f"{torch or 'none'}",
    }


def _gpus() -> list[str]:
    """Names of NVIDIA GPUs by the driver's own tool; Apple's by the processor."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return ["Apple GPU (mps)"]
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=1.5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ["nvidia-smi does not answer"]
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()] if answer.returncode == 0 else []


def _key() -> dict[str, Any]:
    """Where the pseudonymisation key comes from; never the key itself."""
    from cardiolens.dicom.deid import KEY_VARIABLE, key_file

    if os.environ.get(KEY_VARIABLE) is not None:
        return {"from": f"environment variable {KEY_VARIABLE}", "path": None, "exists": True}
    return {"from": "file", "path": str(key_file()), "exists": key_file().exists()}
