"""Words for the conditions that a reader concludes from the findings."""

from __future__ import annotations

from collections.abc import Mapping

from cardiolens.phantom.report.diagnosis import Diagnosis

DISEASES: Mapping[str, Diagnosis] = {
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
            "Thick, stiff walls, suspicious for an infiltrative process.",
            "Infiltrative cardiomyopathy; [light chains and bone scintigraphy are|further work-up is] advised.",
        ),
        exact=0.6,
        common=1.5,
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
}
