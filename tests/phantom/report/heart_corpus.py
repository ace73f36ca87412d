"""Hearts of every condition and reports of them, made once for the tests of this folder."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from cardiolens.phantom.disease import sample_parameters
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.report import Report, compose_report
from cardiolens.phantom.truth import Truth, truth_of
from cardiolens.text.conditions import CONDITION_NAMES

Heart = tuple[HeartParameters, Truth]
N_HEARTS = 2 * len(CONDITION_NAMES)

MENTIONS = {
    "amyloidosis": r"amyloid",
    "aortic dilation": r"aortic (?:root )?(?:dila|ecta|enla)|dilated (?:asc\w+ )?aorta|tion of the (?:aort|asc)",
    "arrhythmogenic right ventricular cardiomyopathy": r"arrhythmogenic|\barv[cd]\b",
    "atrial myxoma": r"myxoma",
    "atrial septal defect": r"atrial septal defect|\basd\b|interatrial communication",
    "bicuspid aortic valve": r"bicuspid|\bbav\b",
    "cardiac thrombus": r"thrombus|\bclot\b",
    "cardiac tumor": r"tumou?r|neoplasm|malignan",
    "hypertrophic cardiomyopathy": r"hypertrophic cardio|\bhcm\b",
    "ischemic cardiomyopathy": r"(?<!non-)(?<!non)ischa?emic (?:cardiomyo|heart|lv)|\bicm\b|coronary cardiomyo",
    "large pericardial effusion": r"large (?:\w+ )?(?:pericardial )?effusion(?!s)",
    "left atrial dilation": r"(?:left atrial|\bla) (?:dilat|enlarge)",
    "left ventricular dilation": r"(?:left ventricular|\blv) (?:dilat|enlarge)|(?<!non-)\bdilated left ventricle",
    "left ventricular hypertrophy": r"(?:left ventricular|\blv) hypertrophy|\blvh\b",
    "lipomatous atrial wall": r"lipomatous|\blhis\b",
    "left ventricular non-compaction": r"non-?compaction|\blvnc\b",
    "myocarditis": r"myocarditis|inflammatory cardiomyo|myocardial inflammation",
    "non-ischemic cardiomyopathy": r"non-?ischa?emic (?:cardiomyo|lv dys)|\bnicm\b|\bdcm\b|dilated cardiomyo",
    "other cardiac mass": r"(?:cardiac|fatty) mass|pericardial cyst|lipoma\b|vegetation",
    "pericarditis": r"pericarditis|inflamed pericardium|pericardial inflammation",
    "previous surgery": r"(?:previous|prior) (?:cardiac )?surgery|cabg|status post|s/p|sternal wires|sternotomy",
    "prosthetic valve": r"prosthe|\bavr\b|\bmvr\b|valve replacement|valve has been replaced",
    "pulmonary artery dilation": r"(?:pulmonary artery|\bpa) (?:dilat|enlarge)|(?:dilated main pulm|enlarged pulm)",
    "pulmonary hypertension": r"pulmonary (?:arterial )?hypertension|\bpa?h\b|elevated pulmonary",
    "pulmonary stenosis": r"pulmon\w+ (?:valve )?stenosis|\bps\b",
    "right atrial dilation": r"(?:right atrial|\bra) (?:dilat|enlarge)",
    "right ventricular dilation": r"(?:right ventricular|\brv) (?:dilat|enlarge)",
    "right ventricular hypertrophy": r"(?:right ventricular|\brv) hypertrophy|\brvh\b",
    "sarcoidosis": r"sarcoid",
    "severe aortic stenosis": r"(?:severe|critical) (?:\w+ )?(?:aortic (?:valve )?stenosis|as\b)",
    "severe mitral regurgitation": r"severe (?:mitral (?:valve )?(?:regurg|insuff)|mr\b)",
    "systolic anterior motion": r"systolic anterior motion|\bsam\b",
    "tetralogy of Fallot": r"tetralogy|\btof\b",
    "ventricular septal defect": r"ventricular septal defect|\bvsd\b",
}
"""How a reader finds a condition by name; written apart from the writer's own lists."""
MENTION = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in MENTIONS.items()}


@lru_cache(maxsize=1)
def hearts() -> tuple[Heart, ...]:
    """Two hearts of every condition."""
    drawn = []
    for i in range(N_HEARTS):
        condition = CONDITION_NAMES[i % len(CONDITION_NAMES)]
        parameters = sample_parameters(np.random.default_rng([17, i]), condition=condition)
        drawn.append((parameters, truth_of(parameters)))
    return tuple(drawn)


@lru_cache(maxsize=1)
def corpus() -> tuple[tuple[HeartParameters, Truth, Report], ...]:
    """Three readers for each heart."""
    return tuple(
        (p, t, compose_report(p, t, np.random.default_rng([i, k]), history=("hypertension",)))
        for i, (p, t) in enumerate(hearts())
        for k in range(3)
    )
