"""Data sets in EchoNet-Dynamic's layout: tables, videos, resume, refusal."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from cardiolens.errors import PhantomError
from cardiolens.phantom.echo import EchoSet, dataset, write_echonet
from cardiolens.phantom.echo.video import to_avi

N = 3
SETTINGS = {"size": 64, "fps": 30.0}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> EchoSet:
    return write_echonet(tmp_path_factory.mktemp("echo") / "set", N, 7, **SETTINGS)  # type: ignore[arg-type]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_tables_have_the_official_columns(made: EchoSet) -> None:
    listed, lines = rows(made.folder / "FileList.csv"), rows(made.folder / "VolumeTracings.csv")
    official = "FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split"
    assert (made.folder / "FileList.csv").read_text().splitlines()[0] == official
    assert (made.folder / "VolumeTracings.csv").read_text().splitlines()[0] == "FileName,X1,Y1,X2,Y2,Frame"
    assert [row["FileName"] for row in listed] == list(made.names)
    assert all(row["Split"] in ("TRAIN", "VAL", "TEST") for row in listed)
    assert len(lines) == N * 2 * 21
    assert {row["FileName"] for row in lines} == {f"{name}.avi" for name in made.names}


def test_listed_volumes_are_those_of_the_tracings_and_the_truth_is_apart(made: EchoSet) -> None:
    for row, true in zip(rows(made.folder / "FileList.csv"), rows(made.folder / "truth.csv"), strict=True):
        mm = float(true["mm_per_pixel"])
        volumes = []
        for frame in (true["Frame_ED"], true["Frame_ES"]):
            lines = np.array(
                [
                    [float(line[k]) for k in ("X1", "Y1", "X2", "Y2")]
                    for line in rows(made.folder / "VolumeTracings.csv")
                    if line["FileName"] == f"{row['FileName']}.avi" and line["Frame"] == frame
                ]
            )
            length = np.hypot(*(lines[:, 2:] - lines[:, :2]).T) * mm
            volumes.append(np.pi / 4 * (length[1:] ** 2).sum() * length[0] / 20 / 1000)
        assert volumes == pytest.approx([float(row["EDV"]), float(row["ESV"])], rel=1e-4)
        assert float(row["EF"]) == pytest.approx(100 * (1 - volumes[1] / volumes[0]), abs=0.01)
        assert float(true["EDV"]) != float(row["EDV"])


def test_the_smaller_tracing_comes_first(made: EchoSet) -> None:
    true = {row["FileName"]: row for row in rows(made.folder / "truth.csv")}
    for name in made.names:
        mine = [r["Frame"] for r in rows(made.folder / "VolumeTracings.csv") if r["FileName"] == f"{name}.avi"]
        assert [mine[0], mine[-1]] == [true[name]["Frame_ES"], true[name]["Frame_ED"]]


def test_videos_read_back_as_listed(made: EchoSet) -> None:
    av = pytest.importorskip("av")
    for row in rows(made.folder / "FileList.csv"):
        with av.open(str(made.folder / "Videos" / f"{row['FileName']}.avi")) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "mjpeg"
            assert float(stream.average_rate) == float(row["FPS"])
            frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        assert len(frames) == int(row["NumberOfFrames"])
        assert frames[0].shape == (int(row["FrameHeight"]), int(row["FrameWidth"]))


def test_pixels_survive_the_video() -> None:
    av = pytest.importorskip("av")
    ramp = np.linspace(0, 255, 64 * 64).reshape(64, 64)
    clip = np.stack([np.roll(ramp, 3 * i, axis=0) for i in range(5)]).astype(np.uint8)
    with av.open(io.BytesIO(to_avi(clip, 50.0))) as container:
        back = np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])
    assert np.abs(back.astype(int) - clip).mean() < 2.0


def test_an_odd_edge_is_refused_by_the_video() -> None:
    with pytest.raises(PhantomError, match="even number"):
        to_avi(np.zeros((3, 65, 64), dtype=np.uint8), 50.0)


def test_a_killed_run_goes_on_and_gives_the_same_bytes(
    made: EchoSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, calls, make = tmp_path / "killed", [], dataset.make_clip

    def dies(order: dataset.EchoOrder) -> str:
        if calls:
            raise KeyboardInterrupt
        calls.append(order.index)
        return make(order)

    monkeypatch.setattr(dataset, "make_clip", dies)
    with pytest.raises(KeyboardInterrupt):
        write_echonet(folder, N, 7, **SETTINGS)  # type: ignore[arg-type]
    assert not (folder / "FileList.csv").exists()
    name = made.names[1]
    orphan = folder / "Videos" / f"{name}.avi"  # a video whose record was not written yet
    orphan.write_bytes(b"half")
    dead = next(iter((folder / "Videos").glob("*.avi")))
    left = folder / "Videos" / f".{dead.name}.{_host()}-{_gone()}-00000000.part"
    left.write_bytes(b"half")
    monkeypatch.setattr(dataset, "make_clip", make)
    told: list[tuple[int, int]] = []
    done = write_echonet(folder, N, 7, **SETTINGS, progress=lambda a, b: told.append((a, b)))  # type: ignore[arg-type]
    assert done.made == N - 1
    assert done.hash == made.hash
    assert told == [(1, N), (2, N), (3, N)]
    assert content(folder) == content(made.folder)


def _host() -> str:
    from cardiolens.store.atomic import temporary_beside

    return temporary_beside(Path("x")).name.split(".")[2].split("-")[0]


def _gone() -> int:
    """Number of a process that is over."""
    pid = os.fork() if hasattr(os, "fork") else 0
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def test_a_folder_with_other_things_is_refused(made: EchoSet, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(PhantomError, match="not an empty folder"):
        write_echonet(tmp_path, N, 7)
    with pytest.raises(PhantomError, match="another data set: seed 7"):
        write_echonet(made.folder, N, 8, **SETTINGS)  # type: ignore[arg-type]
    with pytest.raises(PhantomError, match="data set of 3 clips, 2 were asked for"):
        write_echonet(made.folder, 2, 7, **SETTINGS)  # type: ignore[arg-type]
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_text(json.dumps({"kind": "cardiolens phantom cohort", "config": {}, "n": 1}))
    with pytest.raises(PhantomError, match="cardiolens phantom cohort"):
        write_echonet(other, N, 7)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"size": 113}, "even"),
        ({"fps": 3.0}, "fps"),
        ({"condition": "hiccups"}, "hiccups"),
        ({"workers": 0}, "workers"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_written(
    tmp_path: Path, settings: dict[str, object], word: str
) -> None:
    with pytest.raises(PhantomError, match=word):
        write_echonet(tmp_path / "none", 2, 1, **settings)  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()
