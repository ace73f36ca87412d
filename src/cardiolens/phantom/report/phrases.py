"""The words of the report writer for grades and for the left ventricle: `[a|b]` is a choice, `{name}` a value.

The other structures are in `phrases_right`, `phrases_rest` and `phrases_frame`, the conditions in `diagnoses`.  Original sentences; none is taken from a patient's report.
Kept to common radiology words so that a corpus of them fits a vocabulary of a few thousand word pieces.
"""

# ruff: noqa: E501 - a sentence a line

from __future__ import annotations

from collections.abc import Mapping

# -- words for grades -------------------------------------------------------------------------------------------------

FUNCTION_IS: Mapping[str, tuple[str, ...]] = {
    "severely reduced": ("severely reduced", "severely impaired", "severely depressed", "markedly reduced", "poor"),
    "moderately reduced": ("moderately reduced", "moderately impaired", "moderately depressed"),
    "mildly reduced": ("mildly reduced", "mildly impaired", "slightly reduced", "mildly depressed"),
    "low normal": ("low normal", "borderline", "at the lower limit of normal", "low-normal"),
    "normal": ("normal", "preserved", "within normal limits", "well preserved", "good"),
    "hyperdynamic": ("hyperdynamic", "vigorous", "above normal"),
}
FUNCTION_ATTRIBUTE: Mapping[str, tuple[str, ...]] = {
    "severely reduced": ("severely reduced", "severely impaired", "markedly reduced", "poor"),
    "moderately reduced": ("moderately reduced", "moderately impaired"),
    "mildly reduced": ("mildly reduced", "mildly impaired", "slightly reduced"),
    "low normal": ("low normal", "borderline", "low-normal"),
    "normal": ("normal", "preserved", "good"),
    "hyperdynamic": ("hyperdynamic", "vigorous"),
}
FUNCTION_NOUN: Mapping[str, tuple[str, ...]] = {
    "severely reduced": (
        "severe [LV|left ventricular] systolic dysfunction",
        "severe impairment of [LV|left ventricular] systolic function",
        "a severe reduction in LV contraction",
    ),
    "moderately reduced": (
        "moderate [LV|left ventricular] systolic dysfunction",
        "moderate impairment of [LV|left ventricular] systolic function",
    ),
    "mildly reduced": (
        "mild [LV|left ventricular] systolic dysfunction",
        "mild impairment of [LV|left ventricular] systolic function",
    ),
    "low normal": ("low normal [LV|left ventricular] systolic function", "borderline LV systolic function"),
    "normal": ("normal [LV|left ventricular] systolic function", "preserved [LV|left ventricular] systolic function"),
    "hyperdynamic": ("hyperdynamic [LV|left ventricular] systolic function", "vigorous LV contraction"),
}
CONTRACTS: Mapping[str, tuple[str, ...]] = {
    "severely reduced": ("very poorly", "very weakly", "with severely reduced excursion"),
    "moderately reduced": ("weakly", "with moderately reduced excursion"),
    "mildly reduced": ("slightly less than normal", "with mildly reduced excursion"),
    "low normal": ("at the lower end of normal", "just within the normal range"),
    "normal": ("normally", "well", "with normal excursion"),
    "hyperdynamic": ("vigorously", "more than normal, with near obliteration of the cavity"),
}
SIZE_IS: Mapping[int, tuple[str, ...]] = {
    -1: ("small", "small in size"),
    0: ("normal in size", "of normal size", "not dilated", "not enlarged"),
    1: ("mildly dilated", "mildly enlarged", "slightly enlarged"),
    2: ("moderately dilated", "moderately enlarged"),
    3: ("severely dilated", "severely enlarged", "markedly dilated"),
}
SIZE_ATTRIBUTE: Mapping[int, tuple[str, ...]] = {
    -1: ("small",),
    0: ("normal-sized", "non-dilated"),
    1: ("mildly dilated", "mildly enlarged"),
    2: ("moderately dilated", "moderately enlarged"),
    3: ("severely dilated", "markedly dilated"),
}
GRADE_ADJECTIVE: Mapping[int, tuple[str, ...]] = {
    1: ("mild",),
    2: ("moderate",),
    3: ("severe", "marked"),
}
GRADE_ADVERB: Mapping[int, str] = {1: "mildly", 2: "moderately", 3: "severely"}
GRADED_FUNCTION: Mapping[int, str] = {
    0: "normal",
    1: "mildly reduced",
    2: "moderately reduced",
    3: "severely reduced",
}
EFFUSION_SIZE: Mapping[int, tuple[str, ...]] = {
    1: ("small", "trivial to small"),
    2: ("moderate", "moderate-sized"),
    3: ("large",),
}

# -- sentences: left ventricle ----------------------------------------------------------------------------------------

LV_FUNCTION_NUMBER = (
    "[Left ventricular|LV] [systolic|global systolic|overall systolic] function is {f}[, with| with]"
    " [an ejection fraction|an LVEF|an EF|a calculated ejection fraction|a measured LVEF] of {ef}.",
    "[The LVEF|The left ventricular ejection fraction|LV ejection fraction] [is|measures|was measured at|is calculated at]"
    " {ef}[, which is {f}|].",
    "[Global|Overall] [LV|left ventricular] [contraction|contractility|pump function] is {f} ([LV|]EF {ef}).",
    "[Ejection fraction|LVEF] {ef}; [LV|left ventricular] systolic function is {f}.",
    "By [short-axis volumetry|planimetry of the short-axis stack|the disc summation method],"
    " the [LVEF|LV ejection fraction] is {ef}[ ({f})|].",
    "[Quantitative analysis|Contour analysis] [gives|yields] an LVEF of {ef} and a stroke volume of {sv}.",
)
LV_FUNCTION_WORDS = (
    "[LV|Left ventricular] [systolic|global systolic] function is {f}.",
    "[Visually|By eye|On the cine images], the left ventricle contracts {contracts}.",
    "There is {function_noun}.",
    "[Overall|Global] [LV|left ventricular] [contractility|contraction] [is|appears] {f}.",
    "The LV [squeezes|contracts] {contracts}[, and the stroke volume is {sv}|].",
    "[Radial|Systolic] shortening of the LV is {f}[ in keeping with the ejection fraction|].",
    "[Systolic performance|Pump function] of the [LV|left ventricle] is {f}.",
)
LV_VOLUMES = (
    "[LV|Left ventricular] end-diastolic volume {edv}[ ({edvi})|], end-systolic volume {esv}[, EF {ef}|, ejection fraction {ef}|].",
    "The [LV|left ventricular] end-diastolic and end-systolic volumes [are|measure] {edv} and {esv}[, respectively|, giving an LVEF of {ef}|].",
    "EDV {edv}, ESV {esv}, SV {sv}, EF {ef}.",
    "LV volumes: EDV {edv}[ ({edvi})|], ESV {esv}[, SV {sv}|][, LVEF {ef}|].",
    "[Stroke volume is|The LV stroke volume measures] {sv}, [from|with] an EDV of {edv} and an ESV of {esv}[ (EF {ef})|].",
)
LV_SIZE = (
    "[The left ventricle|The LV] is {lv_size}[, with an end-diastolic volume [index of {edvi}|of {edv}]|].",
    "[The left ventricular|The LV] cavity is {lv_size}[ (EDV {edv})| (LVEDVi {edvi})|].",
    "[LV|Left ventricular] size: {lv_size}.",
    "[The left ventricle|The LV] is {lv_size} and contracts {contracts}.",
    "[The left ventricle|The LV] is {lv_size}, with {f_attribute} systolic function[ (EDV {edv})| (LVEF {ef})|].",
    "The [LV|left ventricular] cavity is {lv_size}, measuring {edd} [at the base in end-diastole|in end-diastole].",
)
LV_LONG_AXIS = (
    "[Mitral annular plane systolic excursion|MAPSE] [is|measures] {mapse}.",
    "Long-axis motion of the LV is {long_axis} (MAPSE {mapse}).",
    "The mitral annulus descends {mapse} in systole, which is {long_axis}; [LV|left ventricular] systolic function is {f}.",
)
WALL_NORMAL = (
    "[LV|Left ventricular] wall thickness is [normal|within normal limits]"
    "[, up to {wall}|, with a maximum of {wall} in end-diastole|].",
    "[No|There is no] [LV|left ventricular] hypertrophy[ (maximum wall thickness {wall})|].",
    "Myocardial thickness is normal[ (LV mass {mass}, {massi})|].",
)
WALL_CONCENTRIC = (
    "There is {grade} concentric [thickening of the LV walls|LV wall thickening], [measuring|up to] {wall}.",
    "The [LV|left ventricular] walls are [symmetrically|concentrically] thickened to {wall} ({grade}).",
    "[LV|Left ventricular] wall thickness is [increased|{grade_adverb} increased] throughout, maximum {wall}[, LV mass {mass} ({massi})|].",
)
WALL_SEPTAL = (
    "There is {grade} asymmetric [thickening of the septum|septal hypertrophy|septal thickening], [measuring|up to] {wall}.",
    "The [interventricular septum|septum] measures up to {wall} in end-diastole and is out of proportion to the free wall.",
    "Maximum wall thickness is {wall}, in the septum; the lateral wall is [near normal|much thinner].",
)
WALL_APICAL = (
    "There is {grade} thickening of the [apical segments|LV apex], up to {wall}[, with a spade-shaped cavity|].",
    "Maximum wall thickness is {wall}, in the apical segments; the basal walls are [thinner|near normal].",
)
MASS = (
    "[LV|Left ventricular] mass is {mass}[, {massi}| ({massi})|][, which is {mass_word}|].",
    "Indexed LV mass is {massi} ({mass_word}).",
)
MOTION_NORMAL = (
    "[No|There is no] regional wall motion abnormality.",
    "[No|There are no] regional wall motion abnormalities.",
    "Wall motion is normal in all [segments|territories].",
    "All LV segments [move|thicken] normally.",
)
MOTION_GLOBAL = (
    "There is global hypokinesis[ without regional predilection|].",
    "[Global hypokinesis|Diffuse hypokinesis] of the [LV|left ventricle][, no focal wall motion abnormality|].",
    "All [walls|segments] are hypokinetic[ to a similar degree|].",
)
MOTION_REGIONAL = (
    "There is {motion}.",
    "Regional wall motion: {motion}.",
    "[Wall motion analysis shows|Cine imaging shows] {motion}[, with preserved motion elsewhere|].",
)
THINNED = (
    "The [affected|akinetic] segments are thinned.",
    "[Associated|There is] wall thinning[ in this region| of the akinetic segments].",
)
ANEURYSM = (
    "There is an aneurysm of the [LV |]{aneurysm_site}, bulging by {bulge}.",
    "The [LV |]{aneurysm_site} bulges outward by {bulge} [in diastole and systole|and does not contract].",
)
NONCOMPACTED = (
    "The [LV|left ventricular] wall has [two layers|a two-layered look], with a [spongy|heavily trabeculated] inner layer up to {noncompacted}.",
    "[Prominent|Coarse] trabeculation [of the LV|towards the LV apex] with deep recesses; the inner layer [is|measures] {noncompacted}.",
    "Heavy trabeculation of the [apical and lateral|mid and apical] [LV|left ventricle], non-compacted layer {noncompacted}.",
)
