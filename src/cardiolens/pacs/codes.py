"""What figures and conditions are called in a Structured Report.

Codes come from DICOM's own context groups (PS3.16, CID 3833 and 3835 for CT and MR; units are UCUM).  Where these hold
none that says the same, and no more, the code is of this package's scheme, and its meaning says what it is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydicom.sr.coding import Code

from cardiolens.dicom.write_report import SCHEME

PERCENT, ML, G, MM = (
    Code("%", "UCUM", "percent"),
    Code("ml", "UCUM", "milliliter"),
    Code("g", "UCUM", "gram"),
    Code("mm", "UCUM", "millimeter"),
)
_PER_MINUTE = Code("/min", "UCUM", "per minute")
_L_PER_MINUTE = Code("l/min", "UCUM", "liter per minute")

YES, NO = Code("373066001", "SCT", "Yes"), Code("373067005", "SCT", "No")
LV, RV = Code("87878005", "SCT", "Left ventricle"), Code("53085002", "SCT", "Right ventricle")
LA, RA = Code("82471001", "SCT", "Left atrium"), Code("73829009", "SCT", "Right atrium")
HEART = Code("80891009", "SCT", "Heart")
LVEF = Code("8811-2", "LN", "Left ventricular ejection fraction by MR")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")

SHORT_AXIS = Code("SAXDISCS", SCHEME, "Discs of the short-axis stack")
LONG_AXIS = Code("LAXDISCS", SCHEME, "Discs of the two and four chamber view")
ONE_LONG_AXIS = Code("LAXDISCS1", SCHEME, "Discs of one long-axis view, taken as round")
REGRESSION = Code("REGRESSION", SCHEME, "Read from the cines by a network, without contours")
OUTSIDE = Code("OUTOFDOMAIN", SCHEME, "Study is unlike those that the model learned from")
FLAGGED = Code("FLAGGED", SCHEME, "Score reaches the threshold of the model")


@dataclass(frozen=True)
class Coded:
    """A figure of `Measures`: concept, unit, the phases that it is measured on ("d", "s", "ds"), how it was had."""

    concept: Code
    unit: Code
    phases: str = ""
    method: Code | None = None


def _own(value: str, meaning: str) -> Code:
    return Code(value, SCHEME, meaning)


FIGURES: dict[str, tuple[Code, dict[str, Coded]]] = {
    "left ventricle": (
        LV,
        {
            "lvef_pct": Coded(LVEF, PERCENT, "ds", SHORT_AXIS),
            "lv_edv_ml": Coded(Code("8821-1", "LN", "Left Ventricular ED Volume"), ML, "d", SHORT_AXIS),
            "lv_esv_ml": Coded(Code("8823-7", "LN", "Left Ventricular ES Volume"), ML, "s", SHORT_AXIS),
            "lv_sv_ml": Coded(Code("90096001", "SCT", "Stroke Volume"), ML, "ds", SHORT_AXIS),
            "lv_mass_g": Coded(Code("18087-7", "LN", "Left Ventricle Mass"), G, "d", SHORT_AXIS),
            "heart_rate_bpm": Coded(Code("8867-4", "LN", "Heart rate"), _PER_MINUTE),
            "cardiac_output_l_min": Coded(Code("82799009", "SCT", "Cardiac Output"), _L_PER_MINUTE, "ds", SHORT_AXIS),
        },
    ),
    "right ventricle": (
        RV,
        {
            "rvef_pct": Coded(
                Code("8818-7", "LN", "Right ventricular ejection fraction by MR"), PERCENT, "ds", SHORT_AXIS
            ),
            "rv_edv_ml": Coded(Code("8822-9", "LN", "Right Ventricular ED Volume"), ML, "d", SHORT_AXIS),
            "rv_esv_ml": Coded(Code("8824-5", "LN", "Right Ventricular ES Volume"), ML, "s", SHORT_AXIS),
            "rv_sv_ml": Coded(Code("429483009", "SCT", "Right ventricular stroke volume"), ML, "ds", SHORT_AXIS),
        },
    ),
    "left ventricle, long axis": (
        LV,
        {
            "lvef_long_axis_pct": Coded(LVEF, PERCENT, "", LONG_AXIS),
            "lv_edv_long_axis_ml": Coded(Code("8821-1", "LN", "Left Ventricular ED Volume"), ML, "", LONG_AXIS),
            "lv_esv_long_axis_ml": Coded(Code("8823-7", "LN", "Left Ventricular ES Volume"), ML, "", LONG_AXIS),
            "mapse_mm": Coded(_own("MAPSE", "Mitral annular plane systolic excursion"), MM),
            "gls_pct": Coded(_own("GLS", "Global longitudinal strain of the left ventricle, as shortening"), PERCENT),
        },
    ),
    "left atrium": (
        LA,
        {
            "la_max_ml": Coded(_own("LAMAX", "Largest left atrial volume, area-length"), ML),
            "la_min_ml": Coded(_own("LAMIN", "Smallest left atrial volume, area-length"), ML),
            "la_ef_pct": Coded(_own("LAEF", "Left atrial emptying fraction"), PERCENT),
        },
    ),
    "right atrium": (
        RA,
        {
            "ra_max_ml": Coded(_own("RAMAX", "Largest right atrial volume, area-length"), ML),
            "ra_min_ml": Coded(_own("RAMIN", "Smallest right atrial volume, area-length"), ML),
            "ra_ef_pct": Coded(_own("RAEF", "Right atrial emptying fraction"), PERCENT),
        },
    ),
}
"""Group to its site and its figures, by name in `Measures`."""

_CONDITIONS = {
    "atrial_septal_defect": Code("70142008", "SCT", "Atrial Septal defect"),
    "myocarditis": Code("50920009", "SCT", "Myocarditis"),
    "pulmonary_hypertension": Code("70995007", "SCT", "Pulmonary hypertension"),
    "tetralogy_of_Fallot": Code("86299006", "SCT", "Tetralogy of Fallot"),
    "ventricular_septal_defect": Code("30288003", "SCT", "Ventricular Septal defect"),
}


def condition_code(name: str, words: str) -> Code:
    """The code of a condition by the name of its column; of our own scheme where DICOM lists none that fits."""
    found = _CONDITIONS.get(name)
    return found or Code("C" + hashlib.sha256(name.encode()).hexdigest()[:12], SCHEME, words[:64])
