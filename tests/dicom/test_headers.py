"""Headers of single files, whole and broken."""

import io

import dicom_factory as make
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.dicom.files import FileRef
from cardiolens.dicom.headers import FileKind, read_headers


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    (path,) = make.save([make.image(1, 2, BodyPartExamined="HEART")], tmp_path_factory.mktemp("one"))
    return path.read_bytes()


def read(content):
    return read_headers(FileRef("x"), io.BytesIO(content), len(content))


def frame_of(data, tmp_path):
    (path,) = make.save([data], tmp_path)
    return read(path.read_bytes()).frames[0]


def test_whole_file_is_an_image_with_its_facts(whole):
    result = read(whole)
    assert result.kind is FileKind.IMAGE
    (frame,) = result.frames
    assert frame.trigger_ms == pytest.approx(160)
    assert frame.spacing == (1.5, 1.25)
    np.testing.assert_allclose(frame.orientation, [*make.ROW, *make.COL])
    assert frame.file.texts["SeriesDescription"] == "cine SAX"


def test_every_cut_is_found(whole):
    """Whatever is missing at the end, the file never passes for an image."""
    for length in [*range(0, len(whole) - 1, 11), len(whole) - 1, len(whole) - 2]:
        assert read(whole[:length]).kind in (FileKind.DAMAGED, FileKind.NOT_DICOM), length


@settings(max_examples=150, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=6)), min_size=1, max_size=6))
def test_no_damage_makes_the_reader_raise(whole, changes):
    content = bytearray(whole)
    for place, noise in changes:
        at = place % len(content)
        content[at : at + len(noise)] = noise
    assert isinstance(read(bytes(content)).kind, FileKind)


@pytest.mark.parametrize("tags", [{"Rows": 60000}, {"NumberOfFrames": 10**8}])
def test_implausible_sizes_are_damage_not_memory(tmp_path, tags):
    data = make.image()
    for name, given_value in tags.items():
        setattr(data, name, given_value)
    (path,) = make.save([data], tmp_path)
    assert read(path.read_bytes()).kind is FileKind.DAMAGED


@pytest.mark.parametrize(
    "orientation",
    [None, [0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0]],
)
def test_orientation_that_is_none_is_none(tmp_path, orientation):
    assert frame_of(make.image(ImageOrientationPatient=orientation), tmp_path).orientation is None


def test_position_of_two_numbers_is_none(tmp_path):
    assert frame_of(make.image(ImagePositionPatient=[1.0, 2.0]), tmp_path).position is None


def test_zero_spacing_is_none(tmp_path):
    assert frame_of(make.image(PixelSpacing=[0.0, 0.0]), tmp_path).spacing is None


@pytest.mark.parametrize(
    ("image_type", "component"),
    [
        (["ORIGINAL", "PRIMARY", "M", "RETRO", "NORM"], "M"),
        (["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"], "M"),
        (["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "PCA"], "P"),
        (["DERIVED", "PRIMARY", "P", "RETRO"], "P"),
        (["ORIGINAL", "PRIMARY", "R_IR", "R", "IR"], "R"),
        (["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"], "M"),
    ],
)
def test_component_by_image_type(tmp_path, image_type, component):
    assert frame_of(make.image(ImageType=image_type), tmp_path).component == component


def test_text_in_another_character_set(tmp_path):
    data = make.image(SeriesDescription="Kurzachse Süd", SpecificCharacterSet="ISO_IR 192")
    assert frame_of(data, tmp_path).file.texts["SeriesDescription"] == "Kurzachse Süd"
