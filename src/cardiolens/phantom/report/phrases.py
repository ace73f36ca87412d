"""The words of the report writer: `[a|b]` is a choice, `{name}` a value.

Original sentences; none is taken from a patient's report.
Kept to common radiology words so that a corpus of them fits a vocabulary of a few thousand word pieces.
"""

# ruff: noqa: E501 - a sentence a line

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    "[LV|Left ventricular] end-diastolic volume {edv}[ ({edvi})|], end-systolic volume {esv}.",
    "The [LV|left ventricular] end-diastolic and end-systolic volumes [are|measure] {edv} and {esv}[, respectively|].",
    "EDV {edv}, ESV {esv}, SV {sv}, EF {ef}.",
    "LV volumes: EDV {edv}[ ({edvi})|], ESV {esv}[, SV {sv}|][, LVEF {ef}|].",
    "[Stroke volume is|The LV stroke volume measures] {sv}, [from|with] an EDV of {edv} and an ESV of {esv}.",
)
LV_SIZE = (
    "[The left ventricle|The LV] is {lv_size}[, with an end-diastolic volume [index of {edvi}|of {edv}]|].",
    "[The left ventricular|The LV] cavity is {lv_size}[ (EDV {edv})| (LVEDVi {edvi})|].",
    "[LV|Left ventricular] size: {lv_size}.",
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

# -- sentences: the other structures ----------------------------------------------------------------------------------

RIGHT_VENTRICLE = (
    "[The right ventricle|The RV] is {rv_size}, with {rv_f} [systolic function|function][ (RVEF {rvef})|].",
    "[RV|Right ventricular] size and function: {rv_size}, [RVEF {rvef}|function {rv_f}].",
    "[The right ventricle|The RV] is {rv_size}; [RV|right ventricular] ejection fraction [is|measures] {rvef}[, {rv_f}|].",
    "RV volumes: EDV {rv_edv}[ ({rv_edvi})|], ESV {rv_esv}, RVEF {rvef}[; the chamber is {rv_size}|].",
)
TAPSE = ("[TAPSE|Tricuspid annular plane systolic excursion] is {tapse}.",)
ATRIA = (
    "[The left atrium|The LA] is {la_size}[ ({la})| ({lai})|] and [the right atrium|the RA] is {ra_size}.",
    "[Atrial sizes|Atria]: left {la_size}[ ({lai})|], right {ra_size}.",
)
LEFT_ATRIUM = (
    "[The left atrium|The LA] is {la_size}[ (maximum volume {la})| ({lai})|].",
    "[Left atrial|LA] [volume|maximum volume] [is|measures] {la}; the chamber is {la_size}.",
)
RIGHT_ATRIUM = ("[The right atrium|The RA] is {ra_size}.",)
ATRIA_NORMAL = ("[Both atria are|The atria are] [normal in size|of normal size].", "Normal [biatrial|atrial] size.")
VALVES = (
    "[No|There is no] significant valvular [regurgitation|abnormality][ on the cine images|].",
    "The valves [open normally|are unremarkable].",
    "The [mitral|aortic] valve [leaflets are thin|opens well][, with no visible regurgitant jet|].",
    "No significant [mitral|aortic|tricuspid] regurgitation [or stenosis|] is [seen|identified].",
)
PERICARDIUM_NORMAL = (
    "[No|There is no] pericardial effusion[ or thickening|].",
    "The pericardium is [normal|unremarkable][, without effusion|, with no effusion|].",
    "No fluid is seen in the pericardial space.",
)
PERICARDIUM_EFFUSION = (
    "There is a {effusion} pericardial effusion[, up to {effusion_mm}| measuring {effusion_mm} at its deepest].",
    "A {effusion} [circumferential|] pericardial effusion is [present|noted] ({effusion_mm}).",
    "Pericardial fluid surrounds the heart, {effusion_mm} at its deepest ({effusion}).",
)
AORTA = (
    "The [thoracic aorta|ascending aorta|aortic root] is [normal in caliber|not dilated|unremarkable].",
    "[The great vessels are|The pulmonary trunk is] [normal|unremarkable].",
)
NO_CONTRAST = ("[No contrast was given|Gadolinium was not given], so [scar|late enhancement] was not assessed.",)
LGE: Mapping[str, tuple[str, ...]] = {
    "ischemic cardiomyopathy": (
        "[Subendocardial|Near-transmural|Transmural] late [gadolinium|] enhancement is [seen|present] in the same territory.",
        "Late enhancement images show [subendocardial|transmural] scar where the wall moves poorly.",
    ),
    "hypertrophic cardiomyopathy": (
        "Patchy late enhancement is [seen|present] at the RV insertion points.",
        "[Patchy|Focal] mid-wall late gadolinium enhancement is seen in the septum.",
    ),
    "dilated cardiomyopathy": (
        "[Linear|Faint] mid-wall late enhancement is [seen|present] in the septum.",
        "No late gadolinium enhancement is seen.",
    ),
    "": (
        "[No|There is no] late gadolinium enhancement[ in either ventricle|].",
        "Late enhancement images are [normal|unremarkable].",
    ),
}

# -- indication and technique -----------------------------------------------------------------------------------------

COMPLAINTS = (
    "[chest pain|shortness of breath|dyspnea on exertion|palpitations|reduced exercise tolerance]",
    "[an abnormal ECG|an abnormal echocardiogram|syncope|ankle swelling|frequent ventricular ectopy]",
    "[poor acoustic windows on echocardiography|a murmur|raised troponin with normal coronary arteries]",
)
INDICATION = (
    "{age}-year-old {person} with {complaint}.",
    "{complaint_start} in a {age}-year-old {person}.",
    "{age} year old {person} [with|presenting with] {complaint}[, for assessment of LV function|].",
    "[{Person}|Patient], aged {age}, [referred for|sent for] {complaint}.",
)
INDICATION_EXTRA = (
    "[Evaluate for|Rule out|Query|Please assess for] {suspect}.",
    "[Family history of|A relative has] {suspect}.",
    "Suspected {suspect}.",
    "[Assess|Please assess] [volumes|LV size] and function.",
    "History of [hypertension|diabetes|smoking|asthma|thyroid disease].",
)
TECHNIQUE = (
    "[Breath-held|Breath-hold] cine [SSFP|steady-state free precession] images [were acquired|were obtained] in [short-axis and long-axis"
    " planes|the short axis and the two, three and four chamber views].",
    "[Cardiac MRI|CMR] at [1.5 T|1.5 Tesla] with [retrospective ECG gating|ECG gating]; cine imaging in standard planes.",
    "[Standard|Routine] cine imaging of the heart was performed[ without complication|].",
)
TECHNIQUE_EXTRA = (
    "Image quality is [good|adequate|limited by breathing artifact|diagnostic].",
    "Volumes were measured from the short-axis stack, papillary muscles counted as blood.",
    "Height {height}, weight {weight}, BSA {bsa}.",
    "Heart rate during the scan was {rate} beats per minute[, regular|].",
    "[No prior cardiac MRI is available|There is no previous study] for comparison.",
)
INCIDENTAL = (
    "[A small|A simple] [hepatic|renal] cyst is [noted|seen] incidentally.",
    "Mild dependent atelectasis at the lung bases.",
    "A [small|] hiatal hernia is noted.",
    "Degenerative change is seen in the thoracic spine.",
    "The visualized upper abdomen is unremarkable.",
    "No enlarged mediastinal lymph nodes.",
    "Limited views of the lungs show no gross abnormality.",
    "[A|] breast implant artifact does not affect the heart.",
)
CLOSING = (
    "[Clinical correlation is advised|Please correlate with the clinical picture].",
    "[Follow-up|Repeat] imaging in [six|twelve] months [is suggested|could be considered].",
    "These results were discussed with the referring team.",
    "Thank you for this referral.",
)

# -- diagnoses --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Diagnosis:
    """Names of one condition, and how to tell of it without a name."""

    names: tuple[str, ...]
    described: tuple[str, ...]


DIAGNOSES: Mapping[str, Diagnosis] = {
    "dilated cardiomyopathy": Diagnosis(
        ("dilated cardiomyopathy", "a dilated cardiomyopathy", "dilated cardiomyopathy (DCM)"),
        (
            "The ventricle is enlarged and moves poorly in all walls.",
            "Enlarged LV with globally reduced contraction and walls of even thickness.",
        ),
    ),
    "ischemic cardiomyopathy": Diagnosis(
        ("ischemic cardiomyopathy", "an ischemic cardiomyopathy", "ischemic cardiomyopathy with prior infarction"),
        (
            "The wall motion abnormality follows a coronary territory.",
            "Regional loss of contraction in a coronary distribution.",
        ),
    ),
    "hypertrophic cardiomyopathy": Diagnosis(
        (
            "hypertrophic cardiomyopathy",
            "HCM",
            "hypertrophic cardiomyopathy (HCM)",
            "asymmetric septal hypertrophic cardiomyopathy",
        ),
        (
            "Marked thickening confined to the septum.",
            "The septum is thick out of proportion to the rest of the ventricle.",
        ),
    ),
    "left ventricular hypertrophy": Diagnosis(
        ("left ventricular hypertrophy", "LV hypertrophy", "concentric left ventricular hypertrophy", "LVH"),
        (
            "Evenly thickened LV walls.",
            "The LV walls are thick all round, with no focal predominance.",
        ),
    ),
    "right ventricular dilation": Diagnosis(
        ("right ventricular dilation", "RV dilation", "right ventricular enlargement"),
        (
            "The right ventricle is large for body size.",
            "Large right heart chambers.",
        ),
    ),
    "pericardial effusion": Diagnosis(
        ("pericardial effusion", "a pericardial effusion"),
        (
            "Fluid is present around the heart.",
            "The heart is surrounded by fluid.",
        ),
    ),
}
OTHER_SUSPECTS = (
    "cardiac amyloidosis",
    "cardiac sarcoidosis",
    "myocarditis",
    "LV non-compaction",
    "arrhythmogenic right ventricular cardiomyopathy",
    "constrictive pericarditis",
    "an intracardiac thrombus",
    "a cardiac mass",
    "an atrial septal defect",
    "a ventricular septal defect",
)
ASSERT = (
    "[Findings|Appearances|The features] are [consistent with|in keeping with|typical of|those of] {name}.",
    "{Name}.",
    "[Overall|Overall, the] picture of {name}.",
    "[Imaging diagnosis|Conclusion]: {name}.",
)
ASSERT_FINDING = (
    "{Name}.",
    "{Extent} {bare}.",
    "[The main finding is|Main finding:] {extent} {bare}.",
    "[The study shows|There is] {extent} {bare}.",
)
HEDGE = (
    "[Findings|Appearances] [may represent|are suggestive of|raise the possibility of|could be due to] {name}.",
    "{Name} [is likely|is possible|should be considered|is favored].",
    "{Name} cannot be excluded.",
    "Possible {name}.",
)
EXCLUDE = (
    "[No|There is no] [evidence|imaging evidence|sign] of {name}.",
    "[Nothing|There is nothing] to suggest {name}.",
    "[Findings|Appearances] do not support {name}.",
    "[The study is negative|Negative] for {name}.",
    "No features of {name}.",
)

# -- impression -------------------------------------------------------------------------------------------------------

SUMMARY = (
    "[A {lv_attribute}|{lv_attribute}] left ventricle with {f_attribute} systolic function[ (LVEF {ef})|, LVEF {ef}|, EF {ef}|].",
    "{function_noun}[, LVEF {ef}| (EF {ef})|]. [The LV is {lv_size}|LV cavity {lv_size}].",
    "LVEF {ef}, {f_attribute} [LV|left ventricular] function; the [ventricle|LV] is {lv_size}.",
    "[The left ventricle|The LV] is {lv_size} and contracts {contracts}[ (LVEF {ef})|, with an ejection fraction of {ef}].",
    "[LV|Left ventricular] ejection fraction [is|of] {ef}, [consistent with|indicating] {function_noun}[; LV {lv_size}|].",
    "{function_noun} with a {lv_attribute} [ventricle|LV][; EF {ef}|].",
)
RV_SUMMARY = (
    "[The RV is {rv_size}, with {rv_f} function|{rv_size_attribute} right ventricle, function {rv_f}].",
    "Right ventricle {rv_size}; RV function {rv_f}.",
)
LA_SUMMARY = ("{la_grade} left atrial enlargement.", "[The left atrium|LA] is {la_size}.")
NORMAL_STUDY = (
    "[Normal|Structurally normal] [cardiac MRI|heart|study].",
    "No significant cardiac abnormality.",
    "[Normal|Unremarkable] examination.",
)
