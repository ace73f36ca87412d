"""EchoNet-Dynamic's layout, on phantoms and on copies that lack something."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from cardiolens.datasets.catalogue import find_dataset
from cardiolens.datasets.echonet import EchoNet
from cardiolens.datasets.volumes import KINDS, open_volumes
from cardiolens.errors import InputError, ReadError, ReportError
from cardiolens.phantom.echo import write_echonet


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("echonet") / "echo"
    write_echonet(folder, 3, seed=5, size=64, fps=30.0, workers=1)
    return folder


@pytest.fixture
def copy(phantom: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(phantom, tmp_path / "copy"))


def stems(folder: Path) -> list[str]:
    return [line.split(",")[0] for line in (folder / "FileList.csv").read_text().splitlines()[1:]]


def test_keys_labels_and_split_are_those_of_the_list(phantom: Path) -> None:
    echo = open_volumes(phantom)
    assert isinstance(echo, EchoNet) and echo.name == "echonet" and not echo.remarks
    assert set(echo.keys()) == {f"{stem}/a4c" for stem in stems(phantom)}
    labels, split = echo.labels(), echo.split()
    assert tuple(labels.index) == echo.keys()
    assert np.allclose(labels["ef"], 100 * (1 - labels["esv"] / labels["edv"]), atol=1e-3)
    assert (labels["cardiomyopathy"] == (labels["lvef"] < 50)).all()
    assert split is not None and {part: len(keys) for part, keys in split.parts.items()} == {"train": 2, "val": 1}


def test_loops_and_tracings_agree_with_the_truth(phantom: Path) -> None:
    echo = EchoNet(phantom)
    for stem in stems(phantom):
        key, truth = f"{stem}/a4c", json.loads((phantom / "truth" / f"{stem}.json").read_text())
        loop, traced = echo.load(key), echo.tracings(key)
        assert len(loop) == truth["row"]["NumberOfFrames"] and loop.attributes["frame_rate"] == 30.0
        assert traced is not None
        ed, es = traced
        assert [es.image, ed.image] == [each["frame"] for each in truth["tracings"]]
        assert 100 * (1 - es.volume / ed.volume) == pytest.approx(truth["row"]["EF"], abs=0.01)
        mask = ed.mask(*loop.images.shape[1:])
        assert mask.sum() == pytest.approx(ed.area, rel=0.03)
        wall = binary_dilation(mask, iterations=3) & ~mask
        assert loop.images[ed.image][mask].mean() < 0.8 * loop.images[ed.image][wall].mean()  # blood is dark


def test_the_hash_follows_the_content(phantom: Path, copy: Path) -> None:
    before = EchoNet(copy).hash()
    assert before == EchoNet(phantom).hash()
    table = copy / "FileList.csv"
    table.write_text(table.read_text().replace("VAL", "TEST"))
    assert EchoNet(copy).hash() != before


def test_rows_and_videos_without_each_other_are_told_and_kept(copy: Path) -> None:
    gone, unlisted = stems(copy)[0], stems(copy)[1]
    (copy / "Videos" / f"{gone}.avi").unlink()
    table = copy / "FileList.csv"
    table.write_text("\n".join(line for line in table.read_text().splitlines() if not line.startswith(unlisted)))
    echo = EchoNet(copy)
    assert {(remark.case, remark.what) for remark in echo.remarks} == {
        (gone, "a row without a video"),
        (unlisted, "a video without a row"),
    }
    split = echo.split()
    assert echo.keys() == tuple(sorted(f"{stem}/a4c" for stem in [*stems(copy), unlisted] if stem != gone))
    assert echo.labels().loc[f"{unlisted}/a4c"].isna().all()
    assert split is not None and f"{unlisted}/a4c" not in {key for keys in split.parts.values() for key in keys}
    found = find_dataset("echonet").look_through(copy)
    assert "tracings without a video" in {remark.what for remark in found.remarks}
    with pytest.raises(ReadError, match="no loop"):
        echo.load(f"{gone}/a4c")


def test_cells_without_a_number_are_missing_and_told(copy: Path) -> None:
    table = copy / "FileList.csv"
    header, first, *rest = table.read_text().splitlines()
    cells = first.split(",")
    cells[1], cells[2], cells[-1] = "120", "", "HOLDOUT"
    table.write_text("\n".join([header, ",".join(cells), *rest]))
    echo = EchoNet(copy)
    row = echo.labels().loc[f"{cells[0]}/a4c"]
    assert row[["ef", "lvef", "cardiomyopathy", "esv"]].isna().all() and row["edv"] > 0
    assert {remark.what.split(" ")[0] for remark in echo.remarks} == {"EF", "Split"}


def test_a_file_named_twice_is_refused(copy: Path) -> None:
    table = copy / "FileList.csv"
    table.write_text(table.read_text() + table.read_text().splitlines()[1] + "\n")
    with pytest.raises(ReportError, match="more than once"):
        EchoNet(copy)


def test_without_tracings_there_are_none_and_half_a_pair_is_refused(copy: Path) -> None:
    key = f"{stems(copy)[0]}/a4c"
    table = copy / "VolumeTracings.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:22]))  # the end-systolic tracing of the first loop
    echo = EchoNet(copy)
    with pytest.raises(ReportError, match="1 images with 21 lines"):
        echo.tracings(key)
    assert echo.tracings(f"{stems(copy)[1]}/a4c") is None
    table.unlink()
    assert EchoNet(copy).tracings(key) is None


def test_a_damaged_video_is_named_at_load(copy: Path) -> None:
    path = copy / "Videos" / f"{stems(copy)[0]}.avi"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ReadError, match=path.name):
        EchoNet(copy).load(f"{stems(copy)[0]}/a4c")


def test_what_no_kind_knows_is_refused_with_the_list_of_kinds(tmp_path: Path, phantom: Path) -> None:
    with pytest.raises(ReadError) as caught:
        open_volumes(tmp_path)
    assert all(kind.layout in str(caught.value) for kind in KINDS)
    with pytest.raises(ReadError, match="no such"):
        open_volumes(tmp_path / "gone")
    with pytest.raises(InputError, match="no kind"):
        open_volumes(phantom, kind="tape")
    with pytest.raises(InputError, match="takes no colour"):
        open_volumes(phantom, colour=True)


def test_every_kind_names_an_opener_that_exists() -> None:
    from importlib import import_module

    for kind in KINDS:
        module, _, name = kind.opener.partition(":")
        assert callable(getattr(import_module(f"cardiolens.datasets.{module}"), name))
