"""The conditions in words: their names, and how to tell of each without a name.

`{…}` in a name is a value that `naming` fills in from the heart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cardiolens.text.conditions import NORMAL

Kind = Literal["disease", "indirect", "structure", "size"]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Words for one condition.

    Attributes:
        kind: how it is told. "disease" a conclusion from the findings; "indirect" one that cine shows badly, more often
            hedged; "structure" something that is simply seen; "size" a measurement past its limit, told with its grade.
        names: the name of `cardiolens.text.conditions` (or a longer one that holds it), then synonyms and
            abbreviations.
        described: sentences that tell of it without a name.
        exact: how often the first name is the one chosen.
        common: weight among the conditions that are mentioned to exclude or to query.
    """

    kind: Kind
    names: tuple[str, ...]
    described: tuple[str, ...]
    exact: float = 0.65
    common: float = 1.0


DIAGNOSES: Mapping[str, Diagnosis] = {
    "amyloidosis": Diagnosis(
        kind="indirect",
        names=(
            "amyloidosis",
            "cardiac amyloidosis",
            "cardiac amyloid",
            "amyloid cardiomyopathy",
            "amyloid heart disease",
        ),
        described=(
            "[Infiltrative|Restrictive] appearance of the [myocardium|heart] with thick walls.",
            "Thick walls with poor long-axis motion, suspicious for an infiltrative process.",
            "Infiltrative cardiomyopathy; [light chains and bone scintigraphy are|further work-up is] advised.",
        ),
        exact=0.6,
        common=1.5,
    ),
    "aortic dilation": Diagnosis(
        kind="size",
        names=("aortic dilation", "dilated ascending aorta", "aortic ectasia", "dilated aorta", "aortic enlargement"),
        described=(
            "[The aorta is|Aorta] {aorta_word} at the {aorta_part} ({aorta_width}).",
            "{Aorta_part} {aorta_width}, {aorta_word}.",
        ),
        exact=0.7,
    ),
    "arrhythmogenic right ventricular cardiomyopathy": Diagnosis(
        kind="disease",
        names=(
            "arrhythmogenic right ventricular cardiomyopathy",
            "ARVC",
            "ARVD",
            "arrhythmogenic right ventricular dysplasia",
            "arrhythmogenic right ventricular cardiomyopathy (ARVC)",
        ),
        described=(
            "[Regional RV dyskinesia|RV free wall motion abnormality] that meets imaging criteria of the task force.",
            "Abnormal RV free wall, of concern for an inherited cardiomyopathy.",
        ),
        common=2.0,
    ),
    "atrial myxoma": Diagnosis(
        kind="disease",
        names=("atrial myxoma", "{myxoma_side} atrial myxoma", "myxoma", "myxoma of the atrium"),
        described=(
            "Atrial lesion on a stalk; surgical referral is suggested.",
            "Pedunculated lesion in the atrium, likely benign.",
        ),
        exact=0.55,
    ),
    "atrial septal defect": Diagnosis(
        kind="structure",
        names=(
            "atrial septal defect",
            "ASD",
            "secundum ASD",
            "secundum atrial septal defect",
            "interatrial communication",
        ),
        described=("Left-to-right shunt at atrial level.", "Shunt between the atria[ with right heart volume load|]."),
        exact=0.5,
        common=1.5,
    ),
    "bicuspid aortic valve": Diagnosis(
        kind="structure",
        names=(
            "bicuspid aortic valve",
            "bicuspid valve",
            "BAV",
            "functionally bicuspid aortic valve",
            "bicuspid morphology of the aortic valve",
        ),
        described=("Two-leaflet aortic valve.", "Congenitally abnormal aortic valve with two cusps."),
        exact=0.5,
    ),
    "cardiac thrombus": Diagnosis(
        kind="structure",
        names=(
            "cardiac thrombus",
            "{thrombus_site} thrombus",
            "intracardiac thrombus",
            "mural thrombus",
            "intracavitary clot",
        ),
        described=(
            "[Avascular|Non-enhancing] filling defect; anticoagulation should be considered.",
            "Non-enhancing structure adherent to the wall.",
        ),
        exact=0.5,
        common=3.0,
    ),
    "cardiac tumor": Diagnosis(
        kind="disease",
        names=(
            "cardiac tumor",
            "cardiac neoplasm",
            "malignant cardiac mass",
            "solid tumor of the heart",
            "cardiac malignancy",
        ),
        described=(
            "[Perfused|Enhancing] lesion; biopsy is suggested.",
            "Enhancing infiltrative lesion of concern for malignancy.",
        ),
        exact=0.6,
    ),
    "hypertrophic cardiomyopathy": Diagnosis(
        kind="disease",
        names=(
            "hypertrophic cardiomyopathy",
            "HCM",
            "hypertrophic cardiomyopathy (HCM)",
            "{obstruction} HCM",
            "{hcm_pattern} hypertrophic cardiomyopathy",
        ),
        described=(
            "[Marked|Unexplained] wall thickening out of proportion to load.",
            "{Thick_site} thickening without a cause in load.",
            "Unexplained thickening of the {thick_part}; genetic testing is suggested.",
        ),
        exact=0.5,
        common=2.0,
    ),
    "ischemic cardiomyopathy": Diagnosis(
        kind="disease",
        names=(
            "ischemic cardiomyopathy",
            "ICM",
            "ischemic heart disease with prior infarction",
            "ischemic cardiomyopathy",
            "ischemic LV dysfunction",
            "coronary cardiomyopathy",
        ),
        described=(
            "The wall motion abnormality follows a coronary territory.",
            "Regional loss of contraction in a coronary distribution.",
            "Prior [infarct|myocardial infarction] in a coronary distribution.",
        ),
        common=1.5,
    ),
    "large pericardial effusion": Diagnosis(
        kind="size",
        names=(
            "large pericardial effusion",
            "large circumferential pericardial effusion",
            "large volume pericardial effusion",
            "large effusion around the heart",
        ),
        described=(
            "[A large amount of|Much] fluid is present around the heart, {effusion_mm}.",
            "The heart swings in a {effusion_mm} rim of fluid.",
        ),
        exact=0.7,
    ),
    "left atrial dilation": Diagnosis(
        kind="size",
        names=("left atrial dilation", "LA dilation", "left atrial enlargement", "LA enlargement"),
        described=("[The left atrium|LA] is {la_size}.", "{La_attribute} left atrium[ ({lai})|]."),
        exact=0.7,
    ),
    "left ventricular dilation": Diagnosis(
        kind="size",
        names=(
            "left ventricular dilation",
            "LV dilation",
            "LV enlargement",
            "left ventricular enlargement",
            "dilated left ventricle",
        ),
        described=(
            "[The left ventricle|LV] is {lv_size}[ (EDV {edv})| (EDVi {edvi})|].",
            "{Lv_attribute} left ventricle[, {edvi}|].",
        ),
        exact=0.7,
    ),
    "left ventricular hypertrophy": Diagnosis(
        kind="size",
        names=("left ventricular hypertrophy", "LV hypertrophy", "LVH", "hypertrophy of the left ventricle"),
        described=(
            "LV wall thickness is {grade_adverb} increased[, {wall}|].",
            "Thick LV walls[, up to {wall}|].",
            "{Grade} LV wall thickening ({wall}).",
        ),
        exact=0.65,
    ),
    "lipomatous atrial wall": Diagnosis(
        kind="structure",
        names=(
            "lipomatous atrial wall",
            "lipomatous hypertrophy of the interatrial septum",
            "lipomatous atrial septum",
            "lipomatous septal hypertrophy",
            "LHIS",
        ),
        described=("Fat in the atrial septum, a benign finding.", "Fatty atrial septum of no significance."),
        exact=0.6,
        common=0.3,
    ),
    "left ventricular non-compaction": Diagnosis(
        kind="disease",
        names=(
            "left ventricular non-compaction",
            "LVNC",
            "LV non-compaction",
            "non-compaction cardiomyopathy",
            "noncompaction",
            "left ventricular noncompaction",
        ),
        described=(
            "Heavy LV trabeculation that meets imaging criteria (ratio above 2.3).",
            "Excess trabeculation with deep recesses, beyond the normal range.",
        ),
        exact=0.55,
        common=1.5,
    ),
    "myocarditis": Diagnosis(
        kind="indirect",
        names=(
            "myocarditis",
            "acute myocarditis",
            "myocardial inflammation",
            "inflammatory cardiomyopathy",
            "viral myocarditis",
        ),
        described=(
            "[Non-ischemic|Non-coronary] pattern of injury, inflammatory in nature.",
            "Findings meet the Lake Louise criteria.",
            "Inflammatory pattern of tissue change, correlate with troponin.",
        ),
        exact=0.55,
        common=2.5,
    ),
    "non-ischemic cardiomyopathy": Diagnosis(
        kind="disease",
        names=(
            "non-ischemic cardiomyopathy",
            "nonischemic cardiomyopathy",
            "NICM",
            "{dcm}",
            "{dcm_short}",
            "cardiomyopathy of non-coronary cause",
        ),
        described=(
            "Reduced contraction that does not follow a coronary territory.",
            "LV dysfunction without an infarct pattern.",
            "Globally reduced contraction, no coronary distribution.",
        ),
        exact=0.6,
        common=1.2,
    ),
    "other cardiac mass": Diagnosis(
        kind="structure",
        names=(
            "other cardiac mass",
            "{mass_kind}",
            "cardiac mass, likely a {mass_kind}",
            "benign cardiac mass",
            "{mass_kind}",
        ),
        described=(
            "[Focal lesion|Well-defined lesion] as described[, benign features|].",
            "Lesion as above, follow-up is suggested.",
        ),
        exact=0.35,
        common=1.5,
    ),
    "pericarditis": Diagnosis(
        kind="indirect",
        names=(
            "pericarditis",
            "{constriction} pericarditis",
            "pericardial inflammation",
            "inflamed pericardium",
            "pericardial disease with constriction",
        ),
        described=(
            "[Thick|Thickened] pericardium.",
            "The pericardium is abnormal, correlate with inflammatory markers.",
            "Pericardial thickening, of inflammatory nature.",
        ),
        exact=0.55,
        common=2.0,
    ),
    "previous surgery": Diagnosis(
        kind="structure",
        names=("previous surgery", "{surgery}", "previous cardiac surgery", "{surgery}", "prior cardiac surgery"),
        described=("Postoperative [heart|changes].", "Sternotomy [noted|wires]."),
        exact=0.6,
        common=0.0,
    ),
    "prosthetic valve": Diagnosis(
        kind="structure",
        names=(
            "prosthetic valve in the {prosthesis} position",
            "{prosthesis_kind} {prosthesis} valve",
            "s/p {prosthesis_abbreviation}",
            "{prosthesis} valve prosthesis",
            "status post {prosthesis} valve replacement",
        ),
        described=("Artifact from a replaced {prosthesis} valve.", "The {prosthesis} valve has been replaced."),
        exact=0.55,
        common=0.6,
    ),
    "pulmonary artery dilation": Diagnosis(
        kind="size",
        names=(
            "pulmonary artery dilation",
            "PA dilation",
            "dilated main pulmonary artery",
            "enlarged pulmonary trunk",
            "main PA enlargement",
        ),
        described=(
            "[The main pulmonary artery|Pulmonary trunk] is {trunk_word}[ ({trunk})|].",
            "Main PA {trunk}, {trunk_word}.",
        ),
        exact=0.7,
    ),
    "pulmonary hypertension": Diagnosis(
        kind="indirect",
        names=(
            "pulmonary hypertension",
            "PH",
            "PAH",
            "pulmonary arterial hypertension",
            "elevated pulmonary artery pressure",
        ),
        described=(
            "[Right heart|RV] pressure overload.",
            "Signs of [raised|elevated] right-sided pressure[, correlate with catheter data|].",
            "Right heart strain pattern.",
        ),
        exact=0.6,
        common=1.5,
    ),
    "pulmonary stenosis": Diagnosis(
        kind="structure",
        names=(
            "pulmonary stenosis",
            "pulmonic stenosis",
            "pulmonary valve stenosis",
            "PS",
            "RV outflow tract obstruction",
        ),
        described=("Obstruction to RV outflow.", "Narrow [RV outflow|pulmonary valve] with a jet."),
        exact=0.55,
        common=0.7,
    ),
    NORMAL: Diagnosis(
        kind="structure",
        names=("normal cardiac MRI", "unremarkable heart"),
        described=("No significant cardiac abnormality.",),
        common=0.0,
    ),
    "right atrial dilation": Diagnosis(
        kind="size",
        names=("right atrial dilation", "RA dilation", "right atrial enlargement", "RA enlargement"),
        described=("[The right atrium|RA] is {ra_size}.", "{Ra_attribute} right atrium[ ({rai})|]."),
        exact=0.7,
    ),
    "right ventricular dilation": Diagnosis(
        kind="size",
        names=("right ventricular dilation", "RV dilation", "right ventricular enlargement", "RV enlargement"),
        described=(
            "[The right ventricle|RV] is {rv_size}[ ({rv_edvi})|].",
            "{Rv_attribute} right ventricle[, EDV {rv_edv}|].",
        ),
        exact=0.7,
    ),
    "right ventricular hypertrophy": Diagnosis(
        kind="size",
        names=("right ventricular hypertrophy", "RVH", "RV hypertrophy"),
        described=(
            "The RV free wall is {rv_wall_adverb} thickened[ ({rv_wall})|].",
            "Thick RV free wall[, {rv_wall}|].",
        ),
        exact=0.65,
    ),
    "sarcoidosis": Diagnosis(
        kind="indirect",
        names=(
            "sarcoidosis",
            "cardiac sarcoidosis",
            "cardiac sarcoid",
            "sarcoid heart disease",
            "granulomatous myocardial disease",
        ),
        described=(
            "Patchy non-coronary scar, of concern for granulomatous disease; PET is suggested.",
            "Multifocal scar of non-ischemic pattern, consider FDG PET.",
        ),
        exact=0.55,
        common=2.0,
    ),
    "severe aortic stenosis": Diagnosis(
        kind="structure",
        names=(
            "severe aortic stenosis",
            "severe AS",
            "severe aortic valve stenosis",
            "severe calcific aortic stenosis",
            "critical AS",
        ),
        described=("Tight aortic valve, for consideration of replacement.", "The aortic valve hardly opens."),
        exact=0.6,
    ),
    "severe mitral regurgitation": Diagnosis(
        kind="structure",
        names=(
            "severe mitral regurgitation",
            "severe MR",
            "severe mitral insufficiency",
            "severe mitral valve regurgitation",
        ),
        described=("Heavily leaking mitral valve.", "Large regurgitant volume at the mitral valve."),
        exact=0.6,
    ),
    "systolic anterior motion": Diagnosis(
        kind="structure",
        names=(
            "systolic anterior motion of the mitral valve",
            "SAM",
            "SAM of the mitral valve",
            "mitral SAM with LVOT obstruction",
        ),
        described=("Dynamic LVOT obstruction.", "Outflow tract obstruction by the mitral leaflet."),
        exact=0.55,
        common=0.8,
    ),
    "tetralogy of Fallot": Diagnosis(
        kind="disease",
        names=("tetralogy of Fallot", "{repaired} tetralogy of Fallot", "TOF", "{repaired} TOF", "Fallot's tetralogy"),
        described=(
            "[Conotruncal|Complex congenital] heart disease{after_repair}.",
            "Congenital heart disease of the outflow tract{after_repair}.",
        ),
        exact=0.5,
        common=0.4,
    ),
    "ventricular septal defect": Diagnosis(
        kind="structure",
        names=(
            "ventricular septal defect",
            "VSD",
            "{vsd_site} VSD",
            "{vsd_site} ventricular septal defect",
            "interventricular communication",
        ),
        described=("Shunt at ventricular level.", "Flow across the ventricular septum."),
        exact=0.5,
        common=1.0,
    ),
}

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
