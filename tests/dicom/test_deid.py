"""Pseudonyms and the cleaning of texts."""

import dataclasses
import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiolens.dicom import deid
from cardiolens.errors import StoreError
from cardiolens.study import Cine, Refusal, Study, View

KEY = b"a secret of sixteen or more"


@pytest.fixture
def own_config(tmp_path, monkeypatch):
    monkeypatch.delenv("CARDIOLENS_KEY", raising=False)
    monkeypatch.delenv("CARDIOLENS_KEY_FILE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path))
    return tmp_path


def _study(**changes) -> Study:
    cine = Cine(
        View.SAX,
        np.zeros((1, 2, 4, 4), np.uint16),
        source='series 3 "SAX MRN0012345"',
        attributes={"Manufacturer": "mrn0012345 Medical", "EchoTime": 1.5},
        notes=("MRN0012345 seen", "file 1.2.840.10008.1.2.3.44 twice"),
    )
    study = Study(
        (cine,),
        patient="MRN0012345",
        accession="ACC-777-99",
        site="General",
        report="MRN0012345: LVEF 55 %.",
        refused=(Refusal("series 9 ACC-777-99", "scout of MRN0012345", 3),),
        notes=("12 files", "acc-777-99 has no 2CH"),
    )
    return dataclasses.replace(study, **changes)


def test_the_same_key_gives_the_same_pseudonym_and_another_key_another():
    assert deid.pseudonym("patient", "P1", KEY) == deid.pseudonym("patient", " P1 ", KEY)
    assert deid.pseudonym("patient", "P1", KEY) != deid.pseudonym("patient", "P1", KEY + b"x")
    assert deid.pseudonym("patient", "P1", KEY) != deid.pseudonym("accession", "P1", KEY)


def test_pseudonym_is_hmac_sha256_cut_to_80_bits():
    import base64
    import hashlib
    import hmac

    full = hmac.new(KEY, b"patient\0P1", hashlib.sha256).digest()
    assert base64.b32decode(deid.pseudonym("patient", "P1", KEY).upper()) == full[:10]


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_identifiers_get_different_pseudonyms(one, other):
    same = one.strip() == other.strip()
    assert (deid.pseudonym("patient", one, KEY) == deid.pseudonym("patient", other, KEY)) == same


def test_no_raw_identifier_or_uid_is_left_in_any_text():
    clean = deid.pseudonymise(_study(), KEY)
    everything = repr(clean) + repr([(c.source, c.attributes, c.notes) for c in clean.cines]) + repr(clean.refused)
    for raw in ("mrn0012345", "acc-777-99", "1.2.840"):
        assert raw not in everything.lower()
    assert clean.patient == deid.pseudonym("patient", "MRN0012345", KEY)
    assert clean.report.endswith(": LVEF 55 %.")
    assert clean.notes[0] == "12 files"
    assert clean.cines[0].attributes["EchoTime"] == 1.5


def test_pseudonymising_twice_changes_nothing():
    once = deid.pseudonymise(_study(), KEY)
    twice = deid.pseudonymise(once, b"quite another key of length")
    assert (once.patient, once.accession, once.report, once.notes) == (
        twice.patient,
        twice.accession,
        twice.report,
        twice.notes,
    )


def test_an_identifier_that_looks_like_a_pseudonym_is_still_replaced():
    looks_like = str(deid.pseudonym("patient", "someone", KEY))
    assert deid.pseudonymise(_study(patient=looks_like), KEY).patient != looks_like


def test_patient_and_accession_stand_in_for_each_other():
    only_patient = deid.pseudonymise(_study(accession=None), KEY)
    assert only_patient.accession == deid.pseudonym("accession", "MRN0012345", KEY)
    with pytest.raises(StoreError, match="neither a patient"):
        deid.pseudonymise(_study(accession=None, patient="  "), KEY)


def test_a_short_identifier_is_replaced_as_a_word_only():
    scrub = deid.Scrubber({"P12": "[x]", "7": "[y]"})
    assert scrub("P12 and P123, 7 of 12") == "[x] and P123, 7 of 12"


def test_lazy_frames_stay_unread():
    class Unread:
        shape = (1, 2, 4, 4)

        def load(self):
            raise AssertionError("pixels were read")

    study = Study((Cine(View.CH4, Unread()),), patient="P", accession="A")
    assert deid.pseudonymise(study, KEY).cine("4CH").shape == (1, 2, 4, 4)


def test_key_comes_from_the_environment_first(own_config, monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", "sixteen characters and more")
    assert deid.load_key() == b"sixteen characters and more"
    assert not list(own_config.iterdir())


def test_a_short_key_is_an_error(own_config, monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", "short")
    with pytest.raises(StoreError, match="at least 16"):
        deid.load_key()


def test_key_file_is_made_once_and_only_for_its_owner(own_config):
    first = deid.load_key()
    path = own_config / "cardiolens" / "key"
    assert path == deid.key_file()
    assert deid.load_key() == first
    assert len(first) >= 32
    assert [each.name for each in path.parent.iterdir()] == ["key"]
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_key_file_that_others_can_read_is_refused(own_config):
    deid.load_key()
    deid.key_file().chmod(0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        deid.load_key()


def test_no_key_is_made_when_told_not_to(own_config):
    with pytest.raises(StoreError, match="no pseudonymisation key"):
        deid.load_key(create=False)
    assert not Path(deid.key_file()).exists()
