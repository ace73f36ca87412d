"""Landmark: points from the blobs, held against the table; damage is told."""

import numpy as np
import pytest
from PIL import Image

from cardiolens.datasets.catalogue import find_dataset
from cardiolens.datasets.landmark import landmarks
from cardiolens.datasets.layout import tally
from cardiolens.errors import GeometryError, ReadError, ReportError
from cardiolens.study import View


def look(folder):
    return find_dataset("landmark").look_through(folder)


def change(path, how):
    Image.fromarray(how(np.array(Image.open(path)))).save(path)


def test_points_are_the_middles_of_the_blobs_and_run_as_the_view_has_them(exports):
    found = look(exports["landmark"].parent)
    assert [case.name for case in found.cases] == ["0001", "0002"] and not found.remarks and not found.skipped
    for case in found.cases:
        stills = landmarks(case)
        assert [still.view for still in stills] == [View.CH2, View.CH2, View.CH4, View.CH4]
        for still in stills:
            rows = (exports["landmark"] / f"lax_{str(still.view)[0]}c.csv").read_text().splitlines()
            table = [row.split(",")[4:] for row in rows if row.split(",")[1] == still.uid]
            np.testing.assert_allclose(still.points, np.array(table, float), atol=1.0)
            assert still.clockwise == (still.view is View.CH2)
            assert still.image.shape == (128, 128) and still.uid.endswith(f"{still.frame:02d}")


def test_faults_are_told_by_image(copy_of):
    folder = copy_of("landmark")
    first, second = sorted((folder / "lax_2c" / "masks").glob("0001*.png"))
    change(first, lambda mask: np.where(mask == 170, 0, mask))
    second.unlink()
    table = folder / "lax_4c.csv"
    lines = [line.split(",") for line in table.read_text().splitlines()]
    lines[0][4] = str(float(lines[0][4]) + 30)
    kept = [line for line in lines if not (line[1] == lines[-1][1] and line[3] == "2")]
    kept.append(["c", "9999__00", "lax_4c", "1", "3", "4"])
    table.write_text("\n".join(",".join(line) for line in kept) + "\n")
    found = look(folder)
    assert tally(found.skipped) == {"an image without a mask": 1}
    assert tally(found.remarks) == {
        "image or mask is damaged": 1,
        "rows for an image that is not here": 1,
        "table and blobs differ": 1,
        "no three rows in the table: points come from the blobs alone": 1,
    }
    with pytest.raises(ReadError, match="no blob of mitral 2"):
        landmarks(found.cases[0])


def test_masks_of_another_shape_or_grey_and_a_strange_table_are_refused(copy_of):
    folder = copy_of("landmark")
    case = look(folder).cases[0]
    path = sorted((folder / "lax_2c" / "masks").glob("0001*.png"))[0]
    change(path, lambda mask: mask[:-1])
    with pytest.raises(GeometryError, match="the image has"):
        landmarks(case)
    change(path, lambda mask: np.full((128, 128), 9, np.uint8))
    with pytest.raises(ReadError, match="grey values"):
        landmarks(case)
    path.write_bytes(b"no image")
    with pytest.raises(ReadError, match="not a readable image"):
        landmarks(case)
    (folder / "lax_2c.csv").write_text("a,b,c\n")
    with pytest.raises(ReportError, match="line 1"):
        look(folder)
    (folder / "lax_2c.csv").unlink()
    assert "no table: points come from the blobs alone" in tally(look(folder).remarks)
