"""The words of the report writer for pericardium, masses, tissue, surgery and what lies outside the heart."""

# ruff: noqa: E501 - a sentence a line

from __future__ import annotations

from collections.abc import Mapping

# -- pericardium ------------------------------------------------------------------------------------------------------

PERICARDIUM_NORMAL = (
    "[No|There is no] pericardial effusion[ or thickening|].",
    "The pericardium is [normal|unremarkable][, without effusion|, with no effusion|].",
    "No fluid is seen in the pericardial space.",
)
PERICARDIUM_THIN = ("The pericardium is not thickened[ ({pericardium})|].",)
PERICARDIUM_THICK = (
    "The pericardium is {pericardium_grade_adverb} thickened[, {pericardium}| to {pericardium}|].",
    "Pericardial thickness [is|measures] {pericardium} ({pericardium_grade} thickening).",
)
PERICARDIUM_BRIGHT = (
    "[The pericardium enhances|There is pericardial enhancement] after contrast.",
    "[Circumferential|Diffuse] late enhancement of the pericardial layers.",
)
EFFUSION = (
    "There is a {effusion} pericardial effusion[, up to {effusion_mm}| measuring {effusion_mm} at its deepest].",
    "A {effusion} [circumferential|] pericardial effusion is [present|noted] ({effusion_mm}).",
)
EFFUSION_DESCRIBED = (
    "Pericardial fluid surrounds the heart, {effusion_mm} at its deepest ({effusion}).",
    "Fluid collects around the heart, up to {effusion_mm}[, circumferential|] - {effusion}.",
)
TAMPONADE = ("No [signs of tamponade|chamber collapse].", "The right-sided chambers do not collapse in diastole.")

# -- masses -----------------------------------------------------------------------------------------------------------

MASS_SITE: Mapping[str, str] = {
    "LV apex": "in the LV apex",
    "LV wall": "at the LV wall",
    "RV wall": "at the RV wall",
    "LA septum": "on the left side of the atrial septum",
    "LA appendage": "in the left atrial appendage",
    "RA wall": "at the right atrial wall",
    "mitral valve": "on the mitral valve",
    "aortic valve": "on the aortic valve",
    "pericardium": "at the pericardium",
}
MASS_NAMED: Mapping[str, tuple[str, ...]] = {
    "thrombus": (
        "[Thrombus|A thrombus|Mural thrombus] {site}, {size}[, without enhancement|].",
        "There is a {size} thrombus {site}.",
    ),
    "myxoma": (
        "[Pedunculated|Lobulated] mass {site}, {size}, [consistent with|typical of] [a|an atrial] myxoma.",
        "[Myxoma|Atrial myxoma] {site}, {size}[, {mobility}|].",
    ),
    "tumor": (
        "[Infiltrative|Solid] tumor {site}, {size}[, with heterogeneous enhancement|].",
        "There is a {size} cardiac tumor {site}[, {mobility}|].",
    ),
    "cyst": ("[Pericardial cyst|Cyst] {site}, {size}.", "Well-defined cyst {site}, {size}[, benign|]."),
    "lipoma": ("Lipoma {site}, {size}.", "Fatty mass {site}, {size}, [consistent with|in keeping with] a lipoma."),
    "vegetation": (
        "[Mobile vegetation|Vegetation] {site}, {size}.",
        "There is a {size} vegetation {site}.",
    ),
}
MASS_DESCRIBED: Mapping[str, tuple[str, ...]] = {
    "thrombus": (
        "[A|There is a] {size} filling defect {site}[, dark on late images| without enhancement|].",
        "A {size} [low-signal|dark] structure adheres to the wall {site}[, {mobility}|].",
    ),
    "myxoma": (
        "[A|There is a] {size} [pedunculated|lobulated] [structure|lesion] {site}[, {mobility}|].",
        "Rounded lesion {site}, {size}, attached by a stalk[, {mobility}|].",
    ),
    "tumor": (
        "[A|There is a] {size} [solid|infiltrating] lesion {site} with heterogeneous enhancement.",
        "Broad-based lesion {site}, {size}, [perfused at first pass|invading the wall].",
    ),
    "cyst": (
        "[A|There is a] {size} thin-walled fluid-filled lesion {site}, without enhancement.",
        "Bright T2 lesion {site}, {size}, well defined.",
    ),
    "lipoma": (
        "[A|There is a] {size} lesion {site} that loses signal with fat suppression.",
        "Encapsulated fat-signal lesion {site}, {size}.",
    ),
    "vegetation": (
        "[A|There is a] {size} [mobile|small] lesion {site}.",
        "Irregular lesion {site}, {size}[, {mobility}|].",
    ),
}
MASS_PLAIN = ("[A|There is a] {size} [lesion|structure] {site}[, {mobility}|].", "Lesion {site}, {size}.")
NO_THROMBUS = ("No [cardiac thrombus|thrombus|LV thrombus|intracardiac thrombus][ is seen| seen on the cine images|].",)
NO_MASS = (
    "No intracardiac [mass or thrombus|thrombus or mass].",
    "No [thrombus or other cardiac mass|cardiac mass or thrombus] is [seen|identified].",
    "No [mass, thrombus or tumor|cardiac thrombus, cardiac tumor or other cardiac mass].",
)

# -- tissue -----------------------------------------------------------------------------------------------------------

NO_CONTRAST = (
    "[No contrast was given|Gadolinium was not given], so [scar|late enhancement] was not assessed.",
    "Late enhancement imaging was not performed.",
)
LGE_NONE = (
    "[No|There is no] late gadolinium enhancement[ in either ventricle|].",
    "Late enhancement images are [normal|unremarkable].",
    "No myocardial [scar|late enhancement] is [seen|identified].",
)
LGE: Mapping[str, tuple[str, ...]] = {
    "subendocardial": (
        "[Subendocardial|Ischemic-pattern] late [gadolinium|] enhancement [in|of] the {scarred}[, up to {extent}% of wall thickness|].",
        "Late enhancement images show subendocardial scar in the {scarred}[ ({extent}% transmural)|].",
    ),
    "mid-wall": (
        "[Mid-wall|Linear mid-wall] late [gadolinium|] enhancement is [seen|present] in the {scarred}.",
        "Late enhancement: mid-wall stripe in the {scarred}.",
    ),
    "subepicardial": (
        "[Subepicardial|Epicardial] late [gadolinium|] enhancement is [seen|present] in the {scarred}.",
        "LGE in the outer layer of the {scarred}, sparing the subendocardium.",
    ),
    "patchy": (
        "Patchy late [gadolinium|] enhancement is [seen|present] in the {scarred}.",
        "[Multifocal|Patchy] LGE in the {scarred}[, not in a coronary distribution|].",
    ),
    "diffuse": (
        "Diffuse [subendocardial to transmural|] late [gadolinium|] enhancement[, most marked in the {scarred}| of the {scarred}].",
        "Global [LGE|late enhancement] of the left ventricle; the myocardium is difficult to null.",
    ),
}
EDEMA = (
    "[T2-weighted images show|STIR images show|There is] [edema|high signal] in the {swollen}.",
    "T2 [signal is|values are] raised in the {swollen}[, in keeping with edema|].",
)
NO_EDEMA = ("No myocardial edema[ on T2-weighted images|].", "T2 signal is normal.")
T1_LONG = (
    "Native T1 is {t1_degree} prolonged.",
    "[T1 mapping shows|] {t1_degree} raised native T1[ throughout the LV|].",
)
T1_SHORT = ("Native T1 is low.",)
T1_NORMAL = ("Native T1 is normal.", "T1 and T2 maps are normal.")

# -- surgery, lungs, the rest -----------------------------------------------------------------------------------------

WIRES = (
    "[Sternal wires|Sternotomy wires] are [noted|present][, with local artifact|].",
    "Artifact from sternal wires[ in the anterior chest wall|].",
)
SURGERY: Mapping[str, tuple[str, ...]] = {
    "coronary bypass": (
        "[s/p CABG|status post CABG|status post coronary artery bypass grafting|prior bypass surgery]",
    ),
    "valve replacement": (
        "[s/p {prosthesis_abbreviation}|status post {prosthesis} valve replacement|prior {prosthesis} valve replacement]",
    ),
    "tetralogy repair": (
        "[status post repair of tetralogy of Fallot|s/p TOF repair|repaired tetralogy of Fallot|childhood repair of tetralogy]",
    ),
    "septal defect closure": (
        "[status post septal defect closure|prior closure of a septal defect|s/p septal patch repair]",
    ),
    "aortic repair": ("[status post ascending aortic repair|s/p aortic graft|prior aortic root repair]",),
    "myectomy": ("[status post septal myectomy|s/p myectomy|prior septal myectomy]",),
}
POSTOPERATIVE: Mapping[str, str] = {
    "coronary bypass": "[Bypass grafts|Surgical clips along the grafts] are [partly seen|noted].",
    "valve replacement": "Postoperative appearance of the {prosthesis} valve.",
    "tetralogy repair": "Postoperative [RV outflow tract|outflow patch].",
    "septal defect closure": "Septal patch [in place|without residual flow].",
    "aortic repair": "[Graft|Repair] of the ascending aorta with smooth margins.",
    "myectomy": "Surgical trough in the basal septum.",
}
PLEURAL = (
    "[{Pleural} bilateral|Bilateral {pleural}] pleural effusions.",
    "{Pleural} pleural effusions[ with adjacent atelectasis|].",
)
LUNGS_CLEAR = ("[No|There is no] pleural effusion.", "Limited views of the lungs show no gross abnormality.")
INCIDENTAL = (
    "[A small|A simple] [hepatic|renal] cyst is [noted|seen] incidentally.",
    "Mild dependent atelectasis at the lung bases.",
    "A [small|] hiatal hernia is noted.",
    "Degenerative change is seen in the thoracic spine.",
    "The visualized upper abdomen is unremarkable.",
    "No enlarged mediastinal lymph nodes.",
    "A [5|6|7] mm nodule in the right lung base, [stable|unlikely to be significant].",
    "[Gallstones|Thyroid nodule|A benign adrenal nodule] noted.",
    "[Mild|] fatty infiltration of the liver.",
    "The spleen is normal in size.",
)
