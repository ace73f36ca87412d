"""The conditions in words: their names, and how to tell of each without a name.

`{…}` in a name is a value that `naming` fills in from the heart.
"""

from __future__ import annotations

from collections.abc import Mapping

from cardiolens.phantom.report.diagnoses_disease import DISEASES
from cardiolens.phantom.report.diagnoses_finding import FINDINGS
from cardiolens.phantom.report.diagnosis import Diagnosis
from cardiolens.text.conditions import CONDITION_NAMES

_ALL: Mapping[str, Diagnosis] = {**DISEASES, **FINDINGS}
DIAGNOSES: Mapping[str, Diagnosis] = {name: _ALL[name] for name in CONDITION_NAMES}

PLAIN: Mapping[str, tuple[str, ...]] = {
    "cardiac thrombus": (
        "cardiac thrombus",
        "LV thrombus",
        "intracardiac thrombus",
        "thrombus",
        "left atrial appendage thrombus",
    ),
    "cardiac tumor": ("cardiac tumor", "cardiac tumor", "cardiac neoplasm"),
    "other cardiac mass": ("other cardiac mass", "thrombus or other cardiac mass", "cardiac mass"),
    "prosthetic valve": ("prosthetic valve", "prosthetic valve dysfunction", "valve prosthesis"),
    "previous surgery": ("previous surgery", "previous cardiac surgery"),
    "non-ischemic cardiomyopathy": (
        "non-ischemic cardiomyopathy",
        "nonischemic cardiomyopathy",
        "dilated cardiomyopathy",
        "DCM",
    ),
    "tetralogy of Fallot": ("tetralogy of Fallot", "TOF"),
    "hypertrophic cardiomyopathy": ("hypertrophic cardiomyopathy", "HCM"),
    "pericarditis": ("pericarditis", "constrictive pericarditis", "acute pericarditis"),
    "atrial myxoma": ("atrial myxoma", "left atrial myxoma", "myxoma"),
    "ventricular septal defect": ("ventricular septal defect", "VSD"),
    "systolic anterior motion": ("systolic anterior motion", "SAM", "systolic anterior motion of the mitral valve"),
    "severe aortic stenosis": ("severe aortic stenosis", "severe AS"),
    "severe mitral regurgitation": ("severe mitral regurgitation", "severe MR"),
    "large pericardial effusion": ("large pericardial effusion",),
}
"""Names for a condition that is absent, where those of the present one need values or say something else."""

FAMILIAL: Mapping[str, float] = {
    "hypertrophic cardiomyopathy": 4.0,
    "arrhythmogenic right ventricular cardiomyopathy": 2.0,
    "non-ischemic cardiomyopathy": 2.0,
    "left ventricular non-compaction": 1.0,
    "bicuspid aortic valve": 1.0,
    "aortic dilation": 1.0,
    "amyloidosis": 0.7,
    "atrial septal defect": 0.5,
    "ischemic cardiomyopathy": 1.0,
    "tetralogy of Fallot": 0.3,
    "pulmonary hypertension": 0.5,
    "atrial myxoma": 0.2,
    "ventricular septal defect": 0.3,
}
"""Conditions a relative may have, with their weights."""

RESOLVED: Mapping[str, float] = {
    "myocarditis": 2.0,
    "pericarditis": 2.0,
    "cardiac thrombus": 1.0,
    "large pericardial effusion": 1.0,
    "sarcoidosis": 0.5,
}
"""Conditions a patient may have had once and no longer, with their weights."""
