"""Words for the conditions that are themselves findings: structures that are seen, and sizes."""

from __future__ import annotations

from collections.abc import Mapping

from cardiolens.phantom.report.diagnosis import Diagnosis
from cardiolens.text.conditions import NORMAL

FINDINGS: Mapping[str, Diagnosis] = {
    "aortic dilation": Diagnosis(
        kind="size",
        names=("aortic dilation", "dilated ascending aorta", "aortic ectasia", "dilated aorta", "aortic enlargement"),
        described=(
            "[The aorta is|Aorta] {aorta_word} at the {aorta_part} ({aorta_width}).",
            "{Aorta_part} {aorta_width}, {aorta_word}.",
        ),
        exact=0.7,
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
        exact=0.78,
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
        exact=0.8,
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
        exact=0.45,
        common=1.5,
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
        exact=0.78,
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
