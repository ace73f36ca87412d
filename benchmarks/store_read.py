"""How fast is a clip read?  The store against other ways to keep the same study, in one run.

A clip is 16 frames, evenly over the cycle, of one plane.  Compared: the store's layout (one frame a chunk), the usual
`create_dataset(compression="gzip")` with whole-volume or h5py's own chunks, plain npy, and DICOM through `read_study`.

    python benchmarks/store_read.py [DICOM folder] [--repeat N]

Without a folder, a made-up study is used: smooth anatomy with noise, 12 planes x 30 phases, 256 x 256, 12 bit.
Prints one line a way: milliseconds a clip (best of the repeats, median over planes), its ratio to the store, and its
size on disk.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from cardiolens.dicom.deid import Pseudonym
from cardiolens.store import StudyStore
from cardiolens.study import Cine, Study, View

CLIP = 16


def made_up(planes: int = 12, phases: int = 30, side: int = 256) -> np.ndarray:
    """(slice, time, row, col), 12 bit: smooth blobs that move, Rician noise of 3 %."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    body = 600.0 * (x**2 + 1.5 * y**2 < 0.8)
    frames = np.empty((planes, phases, side, side))
    for plane in range(planes):
        for phase in range(phases):
            radius = 0.25 - 0.08 * np.sin(np.pi * phase / phases) - 0.01 * plane
            heart = 1400.0 / (1 + np.exp((np.hypot(x, y) - radius) * 60))
            noise = rng.normal(0, 60, (2, side, side))
            frames[plane, phase] = np.hypot(body + heart + noise[0], noise[1])
    return frames.clip(0, 4095).astype(np.uint16)


def timed(read: Callable[[int, list[int]], np.ndarray], frames: np.ndarray, repeat: int) -> float:
    """ms a clip: the best of the repeats, median over planes; every clip is checked."""
    picked = np.linspace(0, frames.shape[1] - 1, CLIP).astype(int).tolist()
    best = []
    for plane in range(len(frames)):
        times = []
        for _ in range(repeat):
            start = time.perf_counter()
            clip = read(plane, picked)
            times.append(1000 * (time.perf_counter() - start))
            assert (clip == frames[plane][picked]).all()
        best.append(min(times))
    return statistics.median(best)


def hdf5_reader(path: Path, frames: np.ndarray, **options: object) -> Callable[[int, list[int]], np.ndarray]:
    with h5py.File(path, "w") as file:
        file.create_dataset("frames", data=frames, **options)

    def read(plane: int, picked: list[int]) -> np.ndarray:
        with h5py.File(path) as file:  # as a data loader without a handle cache does
            return file["frames"][plane][picked]

    return read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("dicom", nargs="?", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    os.environ.setdefault("CARDIOLENS_KEY", "only for this benchmark")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ways: dict[str, tuple[Callable[[int, list[int]], np.ndarray], Path, int]] = {}
        if args.dicom is not None:
            from cardiolens.reading import read_study

            frames = read_study(args.dicom).cine("SAX").frames

            def from_dicom(plane: int, picked: list[int]) -> np.ndarray:
                return read_study(args.dicom).cine("SAX").frames[plane][picked]

            ways["DICOM, read_study"] = (from_dicom, args.dicom, 1)
        else:
            frames = made_up()
        study = Study((Cine(View.SAX, frames),), patient=Pseudonym("p"), accession=Pseudonym("a"))
        start = time.perf_counter()
        key = StudyStore(folder / "store", mode="a").write(study)
        write_s = time.perf_counter() - start
        store = StudyStore(folder / "store")
        whole = {"compression": "gzip", "chunks": frames.shape}
        np.save(folder / "plain.npy", frames)
        ways |= {
            "store": (lambda plane, picked: store.frames(key, "SAX", plane, picked), folder / "store", args.repeat),
            "HDF5 gzip, whole-volume chunk": (hdf5_reader(folder / "w.h5", frames, **whole), folder / "w.h5", 1),
            "HDF5 gzip, h5py's own chunks": (
                hdf5_reader(folder / "a.h5", frames, compression="gzip"),
                folder / "a.h5",
                args.repeat,
            ),
            "HDF5 lzf, one frame a chunk": (
                hdf5_reader(folder / "l.h5", frames, compression="lzf", shuffle=True, chunks=(1, 1, *frames.shape[2:])),
                folder / "l.h5",
                args.repeat,
            ),
            "HDF5 uncompressed": (hdf5_reader(folder / "u.h5", frames), folder / "u.h5", args.repeat),
            "npy, memory-mapped": (
                lambda plane, picked: np.load(folder / "plain.npy", mmap_mode="r")[plane][picked],
                folder / "plain.npy",
                args.repeat,
            ),
        }
        print(f"{frames.shape} {frames.dtype}, {frames.nbytes / 1e6:.0f} MB; written to the store in {write_s:.2f} s")
        results = {way: (timed(read, frames, repeat), path) for way, (read, path, repeat) in ways.items()}
        for way, (ms, path) in sorted(results.items(), key=lambda item: item[1][0]):
            files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
            size = sum(file.stat().st_size for file in files) / frames.nbytes
            print(f"{way:32s} {ms:9.2f} ms a clip   {ms / results['store'][0]:8.2f} x store   {size:5.0%} of raw")


if __name__ == "__main__":
    main()
