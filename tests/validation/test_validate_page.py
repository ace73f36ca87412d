"""The page of a validation, and its pictures, of a store without labels."""

import re

import pytest
from validation_cases import archive_study

from cardiolens.store import StudyStore
from cardiolens.validation import Settings, validate


@pytest.fixture(scope="module")
def drawn(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare")
    store = StudyStore(folder / "store", mode="a")
    for index in range(6):
        store.write(archive_study(index), key=f"north_p{index}/a")
    return validate(str(network), store, folder / "out", settings=Settings(n_resamples=100, projection="pca"))


def test_without_labels_there_are_flow_and_maps_and_the_rest_is_said(drawn):
    notes = {section.name: " ".join(section.notes) for section in drawn.sections}
    assert "nothing to compare" in notes["lvef"]
    assert "No labels for amyloidosis" in notes["conditions"]
    assert "No map by LVEF" in notes["maps"]
    assert "no text tower" in notes["language"]
    names = {path.name for path in (drawn.case.out / "figures").iterdir()}
    assert {"flow.png", "flow.svg", "map_view.png", "map_view.svg", "map_heart_rate.png"} <= names


def test_the_page_loads_nothing_and_shows_every_picture_and_note(drawn):
    text = drawn.page.read_text()
    assert "not a medical device" in text
    assert not re.search(r"(src|href)=.?https?:|url\(|<script|@import", text)
    assert text.count("<img") == len(list((drawn.case.out / "figures").glob("*.png"))) >= 5
    assert drawn.case.reader.sha256 in text
    assert "nothing to compare" in text
    assert "Synthetic data" not in text
