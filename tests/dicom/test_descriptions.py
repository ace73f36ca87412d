"""Series descriptions: many hospitals' spellings of the four views, and everything that must not be taken for one."""

import csv
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiolens.dicom.descriptions import classify_description, read_description, tokenise
from cardiolens.study import View

SPELLINGS = {
    View.SAX: """cine_sa_12slices|SA CINE|ShortAxis|cine_tf2d14_retro_iPAT_SAX|CINE_segmented_SAX_b1|SAO_cine
        |Cine kurze Achse|cine_KA|Kurzachsenschnitt|cine petit axe|cine de eje corto|EJE CORTO|asse corto|eixo curto
        |korte as cine|s_axis|S-AX|sh ax fiesta|SHORT AX TRUFI|SSFP_SAX|sBTFE_SA_MS|shrt axis cine|short axsis
        |shortaxis cine trufi|Cine SAX post gad|B-TFE SA|SAX LV RV|CINE_segmented-_try_2sl_per_bh_SAX""",
    View.CH4: """trufi_cine_4ch|4 CH|4-Chamber|Four Chamber cine|CINE_segmented_LAX_4Ch|4-Kammer|4-Kammerblick
        |Vierkammerblick|4KB cine|4 cavités|quatre cavités|4 cámaras|cuatro camaras|4C|A4C|IV chamber|HLA|HLAX|H_LA
        |horizontal long axis|lange Achse horizontal|eje largo horizontal|4 camere|vierkamer|4chmaber|4 chanber
        |cine_4ch_2|CH4 cine|LA 4CH|sBTFE_BH_4CH|grand axe horizontal""",
    View.CH2: """2CH|two chamber|2-Kammer|Zweikammerblick|2 cavités|dos camaras|VLA|vertical long axis|Vert LAX|LV2CH
        |II chamber|tweekamer|LA_2ch|grand axe vertical|CINE_segmented_LAX_2Ch|vertikale lange Achse""",
    View.CH3: """3CH|three chamber|3-Kammer|Dreikammerblick|tres camaras|LVOT cine|FIESTA_LVOT|3C cine|LAX_3Ch|III CH
        |LVOT_3CH|cine LVOT sag|VLAX_(LV3CH)_FIESTA_BH|PLAX""",
}

NO_VIEW = """ |LAX|cine|cine LAX|long axis|SAX LGE|sax_psir|LGE 4 Kammer|Spätaufnahme kurze Achse
    |realce tardio eje corto|rehaussement tardif petit axe|4CH_DE|DE sa|EGE 4ch|PSMDE 2ch|4CH_CineIR
    |ti scout sax|T1 map sax|T2star sax|t2*_sax
    |SAX MOLLI|ShMOLLI_192i_SAX_b2s|STIR sa|tag_sax|cine_tagging_3sl_SAX_b1s|SENC 4ch|perf_sax|Stress SAX
    |sax_dyn|4ch flow|pc 4ch|4D flow sax|VENC 150 LVOT|flow_250_tp_AoV_bh_ePAT@c_MAG|4CH loc|localizer HLA|scout sax
    |SAX survey|pseudo SA|haste sa|sax db tse|black blood 4ch|RV 2ch|RV3CH|RVOT|RVOT cine|RV VLA|right 2 chamber
    |LVOT cor|CINE_segmented_LVOT|5ch cine|aortic valve sax cine|cine pulmonary valve|atrial sax|axial cine|cine_tra
    |AX_SHORT_TE|SAX realtime|2ch 3ch 4ch|2/3/4ch|2CH_4CH|sax and 4ch|VLA_4CH|12ch coil|4|ch|???"""

ASCII_TEXT = st.text(alphabet=string.printable, max_size=40)
SEPARATORS = st.sampled_from([" ", "_", "-", "  ", "__", " - "])


def _split(block: str) -> list[str]:
    return [part.strip() for part in block.split("|")]


@pytest.mark.parametrize(
    ("view", "text"), [(view, text) for view, block in SPELLINGS.items() for text in _split(block)]
)
def test_the_four_views_are_known_in_many_spellings(view: View, text: str) -> None:
    assert classify_description(text) is view


@pytest.mark.parametrize("text", _split(NO_VIEW))
def test_other_series_get_no_view(text: str) -> None:
    assert classify_description(text) is None


def test_an_exclusion_keeps_the_plane_it_names_and_its_reason() -> None:
    reading = read_description("SAX_DE_2D_400_mBH_MAG")
    assert (reading.view, reading.named, reading.excluded, reading.hard) == (None, View.SAX, "late enhancement", True)
    assert not read_description("SAX_REAL_TIME").hard  # real-time stacks may still be used when nothing better is there


@pytest.mark.parametrize("nothing", [None, "", " ", "\x00", "\ud800", "٤CH", "４ＣＨ"])
def test_odd_or_missing_text_does_not_raise(nothing: str | None) -> None:
    assert classify_description(nothing) in (None, View.CH4)


@given(st.text(max_size=64))
def test_no_text_raises(text: str) -> None:
    assert classify_description(text) is None or isinstance(classify_description(text), View)


@given(ASCII_TEXT)
def test_case_means_nothing(text: str) -> None:
    assert classify_description(text.upper()) is classify_description(text.lower())


@given(st.sampled_from([t for block in SPELLINGS.values() for t in _split(block)]), SEPARATORS, SEPARATORS, st.data())
def test_separators_and_case_around_a_view_mean_nothing(
    text: str, before: str, between: str, data: st.DataObject
) -> None:
    varied = "".join(data.draw(st.sampled_from([c.lower(), c.upper()])) for c in text)
    varied = between.join(varied.replace("_", " ").replace("-", " ").split())
    assert classify_description(f"{before}{varied}{before}") is classify_description(text)


@given(
    st.sampled_from([t for block in SPELLINGS.values() for t in _split(block)]),
    st.sampled_from(
        ["LGE", "PSIR", "T1Map", "T2*", "MOLLI", "tagging", "perfusion", "flow", "VENC", "LOC", "scout", "HASTE"]
    ),
    st.booleans(),
)
def test_an_excluding_word_wins_wherever_it_stands(text: str, word: str, first: bool) -> None:
    assert classify_description(f"{word}_{text}" if first else f"{text}_{word}") is None


def test_tokens_are_plain() -> None:
    assert tokenise("bFFE_BH_SA") == "bffe bh sa"
    assert tokenise("T1Map_4ch") == "t 1 map 4 ch"
    assert tokenise("Vierkammerblick") == tokenise("IV cavités") == tokenise("4-CHAMBER") == "4 ch"
    assert tokenise("CineIR") == tokenise("CINEIR") == "cine ir"


def test_development_table(shared_data: Path) -> None:
    """Labelled rows: nearly all labels met, and never a wrong view.

    Blank rows ("not one of the four, or not reviewed"): 26 of 564 get a view (4.6 %; 4.3 % by count), all with names
    such as SAX_TRUFISP or 4CH_STACK_FIESTA_BH that are short- and long-axis cines by every sign.  The limit leaves room
    for two more in a hundred; a rule that let one excluded kind through (late enhancement names a plane in 18 % of the
    blank rows) goes far beyond it.
    """
    with (shared_data / "series_descriptions_dev.csv").open() as file:
        rows = [(r["series_description"], int(r["counts"]), r["cleaned_series_names"]) for r in csv.DictReader(file)]
    labelled = [(classify_description(text), count, label) for text, count, label in rows if label]
    blank = [(classify_description(text), count) for text, count, label in rows if not label]
    right = [(view, count) for view, count, label in labelled if view == label]
    wrong = [(view, label) for view, count, label in labelled if view is not None and view != label]
    given_view = [(view, count) for view, count in blank if view is not None]
    assert wrong == []
    assert len(right) / len(labelled) >= 0.97
    assert sum(c for _, c in right) / sum(c for _, c, _ in labelled) >= 0.99
    assert len(given_view) / len(blank) <= 0.065
    assert sum(c for _, c in given_view) / sum(c for _, c in blank) <= 0.065
