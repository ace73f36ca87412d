"""The words of the report writer for indication, technique, comparison and impression."""

# ruff: noqa: E501 - a sentence a line

from __future__ import annotations

from collections.abc import Mapping

COMPLAINTS = (
    "[chest pain|shortness of breath|dyspnea on exertion|palpitations|reduced exercise tolerance|fatigue]",
    "[an abnormal ECG|an abnormal echocardiogram|syncope|ankle swelling|frequent ventricular ectopy]",
    "[poor acoustic windows on echocardiography|a murmur|raised troponin|raised BNP]",
)
COMPLAINTS_OF: Mapping[str, tuple[str, ...]] = {
    "ischemic cardiomyopathy": (
        "[known coronary artery disease|prior myocardial infarction|prior stents]",
        "heart failure",
    ),
    "non-ischemic cardiomyopathy": (
        "heart failure with [normal coronary arteries|no coronary disease]",
        "new heart failure",
    ),
    "amyloidosis": ("[carpal tunnel surgery and heart failure|low voltage ECG|neuropathy and dyspnea]",),
    "myocarditis": ("[recent viral illness and chest pain|acute chest pain with raised troponin]",),
    "pericarditis": ("[pleuritic chest pain|fever and chest pain]",),
    "sarcoidosis": ("[heart block|ventricular tachycardia|mediastinal lymph nodes and heart block]",),
    "arrhythmogenic right ventricular cardiomyopathy": (
        "[ventricular tachycardia|frequent ventricular ectopy and syncope]",
    ),
    "cardiac thrombus": ("[stroke|recent anterior infarct|peripheral embolus]",),
    "pulmonary hypertension": ("[progressive dyspnea|dyspnea and ankle swelling|chronic lung disease]",),
}
INDICATION = (
    "{age}-year-old {person} with {complaint}.",
    "{complaint_start} in a {age}-year-old {person}.",
    "{age} year old {person} [with|presenting with] {complaint}[, for assessment of LV function|].",
    "[{Person}|Patient], aged {age}, [referred for|sent for] {complaint}.",
    "{age}{sex_letter} with {complaint}.",
)
COMORBID = (
    "[History of|Past medical history of|Known|PMH:] {comorbid}.",
    "[Also|The patient has] {comorbid}.",
    "Risk factors: {comorbid}.",
)
UNRELATED_HISTORY = (
    "[Ex-smoker|Non-smoker|Current smoker].",
    "History of [asthma|thyroid disease|migraine|knee surgery|reflux].",
    "[Previous surgery|Prior surgery] for [appendicitis|a hernia|a knee injury].",
    "No known heart disease.",
)
NO_SURGERY = ("No [previous surgery|previous cardiac surgery].", "[Denies previous surgery|Previous surgery: none].")
NO_FAMILY = ("No relevant family history[ is recorded|].",)
QUERY = (
    "[Evaluate for|Rule out|Query|Please assess for|?] {suspect}.",
    "[Suspected|Possible] {suspect}.",
    "[Question of|Concern for] {suspect}[ on echocardiography|].",
)
KNOWN = ("Known {suspect}.", "[Follow-up of|Surveillance of] {suspect}.", "[History|Hx] of {suspect}.")
PAST = (
    "[Remote|Previous|Past] history of {suspect}[, resolved|].",
    "[Treated for|Recovered from] {suspect} [years ago|in the past].",
)
FAMILY = (
    "[Family history|FH|Strong family history] of {suspect}.",
    "[A relative|A sibling|Father|Mother] [has|with|had] {suspect}.",
    "Screening for {suspect} in a first-degree relative of a patient.",
)
STATUS_POST = ("{surgery_start}.", "Patient is {surgery}.")
PURPOSE = (
    "[Assess|Please assess] [volumes|LV size] and function.",
    "For [volumes|LV function] and [tissue characterization|viability].",
)

TECHNIQUE = (
    "[Breath-held|Breath-hold] cine [SSFP|steady-state free precession] images [were acquired|were obtained] in [short-axis and long-axis planes|the short axis and the two, three and four chamber views]{at_field}.",
    "[Cardiac MRI|CMR]{at_field} with [retrospective ECG gating|ECG gating]; cine imaging in standard planes.",
    "[Standard|Routine] cine imaging of the heart was performed{at_field}[ without complication|].",
    "[Multiplanar|Multi-planar] cine [bSSFP|SSFP] imaging{at_field}.",
)
TECHNIQUE_EXTRA = (
    "Image quality is [good|adequate|limited by breathing artifact|diagnostic].",
    "Volumes were measured from the short-axis stack, papillary muscles counted as blood.",
    "Height {height}, weight {weight}, BSA {bsa}.",
    "An 18-channel surface coil was used.",
    "Post-processing was done on a separate workstation.",
    "Informed consent was obtained.",
)
HEART_RATE = ("Heart rate during the scan was {rate} beats per minute{regular}.", "HR {rate} bpm.")
RHYTHM: Mapping[str, tuple[str, ...]] = {
    "atrial fibrillation": (
        "The patient was in atrial fibrillation[, which limits gating|].",
        "Irregular rhythm with variable RR intervals.",
    ),
    "ectopy": ("Frequent ectopic beats degrade gating.", "Ectopy during the scan[, arrhythmia rejection was used|]."),
}
CONTRAST_GIVEN = (
    "[Gadolinium contrast was given|Contrast: gadolinium], [0.1|0.15|0.2] mmol/kg[, without reaction|].",
    "Late gadolinium enhancement images were acquired [10|12|15] minutes after contrast.",
    "Pre- and post-contrast imaging was performed.",
)
CONTRAST_NOT = (
    "No contrast was given.",
    "Non-contrast study.",
    "[Contrast was not given|Gadolinium was withheld] [because of renal function|].",
)

COMPARISON_NONE = ("No prior cardiac MRI is available.", "No prior study for comparison.", "None available.", "None.")
COMPARISON = (
    "[Cardiac MRI|CMR|MRI] of {year}.",
    "Echocardiogram of {year}.",
    "Prior study dated {year}.",
)
CHANGE = (
    "Compared with the prior study, [LV size and function are|findings are] [unchanged|stable].",
    "No significant change since {year}.",
    "LV function has {trend} since {year}, previously {previous}.",
    "Ejection fraction previously {previous}, [has {trend}|{trend}].",
)
NO_CHANGE_FROM_ECHO = ("Agrees with the recent echocardiogram.", "Echocardiogram report not available.")

CLOSING = (
    "[Clinical correlation is advised|Please correlate with the clinical picture].",
    "[Follow-up|Repeat] imaging in [six|twelve] months [is suggested|could be considered].",
    "These results were discussed with the referring team.",
    "Thank you for this referral.",
    "[Cardiology referral|Heart team review] is suggested.",
)
SUMMARY = (
    "[A {lv_attribute}|{lv_attribute}] left ventricle with {f_attribute} systolic function[ (LVEF {ef})|, LVEF {ef}|, EF {ef}|].",
    "{function_noun}[, LVEF {ef}| (EF {ef})|]. [The LV is {lv_size}|LV cavity {lv_size}].",
    "LVEF {ef}, {f_attribute} [LV|left ventricular] function; the [ventricle|LV] is {lv_size}.",
    "[The left ventricle|The LV] is {lv_size} and contracts {contracts}[ (LVEF {ef})|, with an ejection fraction of {ef}].",
    "[LV|Left ventricular] ejection fraction [is|of] {ef}, [consistent with|indicating] {function_noun}[; LV {lv_size}|; the cavity is {lv_size}].",
    "{function_noun} with a {lv_attribute} [ventricle|LV][; EF {ef}|].",
)
RV_SUMMARY = (
    "[The RV is {rv_size}, with {rv_f} function|{rv_size_attribute} right ventricle, function {rv_f}].",
    "Right ventricle {rv_size}; RV function {rv_f}.",
)
NORMAL_STUDY = (
    "[Normal|Structurally normal] [cardiac MRI|heart|study].",
    "[Normal|Unremarkable] examination.",
    "Normal biventricular size and function[, no regional abnormality|].",
    "[Essentially|] normal cardiac MRI.",
)
NORMAL_DESCRIBED = ("No significant cardiac abnormality.", "Unremarkable study.", "No cause for the symptoms is found.")

ASSERT = (
    "[Findings|Appearances|The features] are [consistent with|in keeping with|typical of|those of|diagnostic of] {name}.",
    "{Name}.",
    "[Overall, the|The] picture of {name}.",
    "[Imaging diagnosis|Conclusion]: {name}.",
    "[Constellation of findings compatible with|Findings compatible with] {name}.",
)
ASSERT_THERE = (
    "{Name}.",
    "[Main finding:|Noted:|Also:] {name}.",
    "{Name}, as [described|above].",
    "{Name}[ is present| is noted|].",
)
ASSERT_MEASURED = (
    "{Extent} {bare}.",
    "There is {extent} {bare}.",
    "[The study shows|Also noted is] {extent} {bare}.",
)
HEDGE = (
    "[Findings|Appearances] [may represent|are suggestive of|raise the possibility of|could be due to] {name}.",
    "{Name} [is likely|is possible|should be considered|is favored].",
    "{Name} cannot be excluded.",
    "[Possible|Probable|Query] {name}.",
    "[Cannot exclude|Suspicious for] {name}.",
)
HEDGE_SEEN = (
    "[Possible|Probable|Likely|Suspected] {name}.",
    "{Name} [is likely|is possible|is suspected|cannot be excluded].",
    "Cannot exclude {name}[, correlate with echocardiography|].",
)
DIFFERENTIAL = (
    "[Differential includes|The differential is] {name} [and|versus] {other}.",
    "[Findings favor|Appearances favor] {name} over {other}.",
)
EXCLUDE_SEEN = (
    "[No|There is no] {name}.",
    "[No evidence of|No sign of] {name}.",
    "{Name} is not [seen|present].",
)
EXCLUDE = (
    "[No|There is no] [evidence|imaging evidence|sign] of {name}.",
    "[Nothing|There is nothing] to suggest {name}.",
    "[Findings|Appearances] do not support {name}.",
    "[The study is negative|Negative] for {name}.",
    "No features of {name}.",
    "No {name}.",
    "{Name} [is not seen|is unlikely|has been excluded].",
)
