"""The words of the report writer for the right heart, the atria, the septa, the valves and the great vessels."""

# ruff: noqa: E501 - a sentence a line

from __future__ import annotations

from collections.abc import Mapping

# -- right ventricle --------------------------------------------------------------------------------------------------

RIGHT_VENTRICLE = (
    "[The right ventricle|The RV] is {rv_size}, with {rv_f} [systolic function|function][ (RVEF {rvef})|].",
    "[RV|Right ventricular] size and function: {rv_size}, [RVEF {rvef}|function {rv_f}].",
    "[The right ventricle|The RV] is {rv_size}; [RV|right ventricular] ejection fraction [is|measures] {rvef}[, {rv_f}|].",
    "RV volumes: EDV {rv_edv}[ ({rv_edvi})|], ESV {rv_esv}, RVEF {rvef}; the chamber is {rv_size}.",
)
RIGHT_VENTRICLE_NAMED = (
    "{rv_grade_start} right ventricular dilation[ (RVEDVi {rv_edvi})|], RVEF {rvef}.",
    "{rv_grade_start} RV [dilation|enlargement][, EDV {rv_edv}|], with {rv_f} function.",
)
TAPSE = ("[TAPSE|Tricuspid annular plane systolic excursion] is {tapse}.",)
RV_WALL_THICK = (
    "The RV free wall is thickened[, {rv_wall}| to {rv_wall}].",
    "[The right ventricular|The RV] wall [measures|is] {rv_wall}, which is [thick|increased][ ({rv_wall_grade})|].",
)
RV_WALL_NAMED = (
    "{rv_wall_grade_start} [right ventricular|RV] hypertrophy[, wall {rv_wall}|].",
    "There is right ventricular hypertrophy[ with a free wall of {rv_wall}|].",
)
RV_WALL_NORMAL = (
    "[RV|Right ventricular] wall thickness is normal.",
    "[No|There is no] [right ventricular|RV] hypertrophy.",
)
RV_BULGES = (
    "[Small|Focal] outpouchings of the RV free wall [move outward in systole|are seen].",
    "The RV free wall is [irregular, with|uneven, with] [small bulges|focal dyskinesia][ near the outflow tract|].",
    "There is an accordion-like [pattern|contour] of the RV free wall with regional dyskinesia.",
)
RV_FAT = (
    "[Fat signal|Fatty replacement] is [seen|present] in the RV free wall.",
    "The RV free wall [is thin and|] holds [areas of|] fat signal.",
)
FLAT_SEPTUM = (
    "The [interventricular septum|septum] is [flattened|flat] in {flat}.",
    "Septal flattening in {flat}[, giving a D-shaped LV|].",
    "The LV is D-shaped in {flat}.",
)
BOUNCE = (
    "There is [a septal bounce|an early diastolic septal bounce].",
    "The septum [jerks|moves abruptly] towards the LV in early diastole.",
)

# -- atria and septa --------------------------------------------------------------------------------------------------

ATRIA = (
    "[The left atrium|The LA] is {la_size}[ ({la})| ({lai})|] and [the right atrium|the RA] is {ra_size}.",
    "[Atrial sizes|Atria]: left {la_size}[ ({lai})|], right {ra_size}.",
)
LEFT_ATRIUM = (
    "[The left atrium|The LA] is {la_size}[ (maximum volume {la})| ({lai})|].",
    "[Left atrial|LA] [volume|maximum volume] [is|measures] {la}[ ({lai})|]; the chamber is {la_size}.",
)
LEFT_ATRIUM_NAMED = (
    "{la_grade_start} [left atrial|LA] [enlargement|dilation][ ({lai})|, volume {la}|].",
    "There is {la_grade} left atrial [dilation|enlargement].",
)
RIGHT_ATRIUM = (
    "[The right atrium|The RA] is {ra_size}[ ({rai})| (maximum volume {ra})||].",
    "[Right atrial|RA] volume [is|measures] {ra}; the chamber is {ra_size}.",
)
RIGHT_ATRIUM_NAMED = (
    "{ra_grade_start} [right atrial|RA] [enlargement|dilation][ ({rai})|].",
    "There is {ra_grade} right atrial [dilation|enlargement].",
)
ATRIA_NORMAL = ("[Both atria are|The atria are] [normal in size|of normal size].", "Normal [biatrial|atrial] size.")
ATRIAL_FAT = (
    "The [interatrial|atrial] septum is thickened by fat[ to {atrial_septum}|, {atrial_septum}], [sparing the fossa ovalis|with a dumbbell shape].",
    "Fat signal widens the interatrial septum to {atrial_septum}.",
)
ATRIAL_FAT_NAMED = (
    "Lipomatous hypertrophy of the [interatrial|atrial] septum, {atrial_septum}.",
    "Lipomatous [atrial wall|interatrial septum] up to {atrial_septum}[, sparing the fossa ovalis|].",
)
ATRIAL_THICK = (
    "The interatrial septum is thickened ({atrial_septum}).",
    "[Atrial|Interatrial] septal thickness is increased, {atrial_septum}.",
)
ASD_DESCRIBED = (
    "There is [a gap in|a defect of] the interatrial septum[ of {asd}|, {asd} wide], with [left-to-right flow|flow across it].",
    "Dropout of the interatrial septum over {asd} with a jet into the right atrium.",
    "[There is|] communication between the atria, {asd}, with flow from left to right.",
)
ASD_NAMED = (
    "[Atrial septal defect|ASD][, secundum type,|] measuring {asd}.",
    "There is [an ASD|an atrial septal defect|a secundum ASD] of {asd}[ with a left-to-right shunt|].",
)
VSD_DESCRIBED = (
    "There is [a gap in|a defect of] the {vsd_site} ventricular septum[ of {vsd}|, {vsd} wide].",
    "A jet crosses the {vsd_site} part of the ventricular septum through a {vsd} gap.",
)
VSD_NAMED = (
    "{Vsd_site} [ventricular septal defect|VSD] [of|measuring] {vsd}.",
    "There is a {vsd_site} [VSD|ventricular septal defect], {vsd}[, with flow across it|].",
)
SEPTA_INTACT = (
    "The [interatrial and interventricular septa|septa] [appear|are] intact.",
    "No [intracardiac|] shunt is seen.",
    "No atrial or ventricular septal defect[ is seen| is identified|].",
    "[No evidence of|No] ASD or VSD.",
)
PFO = (
    "A small patent foramen ovale cannot be excluded.",
    "Tiny PFO suspected[, no atrial septal defect|, no ASD].",
)
CLOSED = (
    "[The septal closure|The repaired septum] is intact, without residual shunt.",
    "No residual shunt after septal closure.",
)
OVERRIDE = (
    "The aorta overrides the ventricular septum[ by about {override}%|].",
    "[Overriding|There is an overriding] aorta[, {override}%|].",
)

# -- valves -----------------------------------------------------------------------------------------------------------

VALVES_NORMAL = (
    "[No|There is no] significant valvular [regurgitation|abnormality][ on the cine images|].",
    "The valves [open normally|are unremarkable].",
    "The [mitral|tricuspid] valve [leaflets are thin|opens well][, with no visible regurgitant jet|].",
)
NO_MITRAL = ("No [significant|severe|] mitral regurgitation[ is seen|].", "The mitral valve is competent.")
NO_AORTIC = (
    "No [significant|severe|] aortic stenosis[ or regurgitation|].",
    "The aortic valve opens well.",
)
TRILEAFLET = ("The aortic valve [is trileaflet|has three leaflets|has three cusps].", "Trileaflet aortic valve.")
REGURGITATION = (
    "There is {defect_grade} {valve} regurgitation.",
    "{Defect_grade} {valve} [regurgitation|insufficiency][ with a jet on the cine images|].",
    "[{Valve} valve: {defect_grade} regurgitation|{Defect_grade} regurgitation through the {valve} valve].",
)
MITRAL_SEVERE = (
    "Severe [mitral regurgitation|MR][ with a broad jet|, jet reaching the pulmonary veins|].",
    "There is severe [mitral regurgitation|mitral valve regurgitation|mitral insufficiency].",
)
MITRAL_DESCRIBED = (
    "A broad [regurgitant|] jet [fills|crosses] the left atrium in systole and reaches the pulmonary veins.",
    "The mitral valve leaks heavily, with a wide dephasing jet into the left atrium.",
    "Large [systolic signal void|jet] behind the mitral leaflets, regurgitant fraction well above half.",
)
STENOSIS = (
    "There is {defect_grade} {valve} stenosis.",
    "{Defect_grade} {valve} stenosis[ with a systolic jet|].",
)
AORTIC_SEVERE = (
    "Severe [aortic stenosis|AS][ with restricted opening|].",
    "There is severe [aortic stenosis|aortic valve stenosis][ with a narrow jet|].",
)
AORTIC_DESCRIBED = (
    "The aortic valve is thickened and barely opens, with a narrow high-velocity jet into the ascending aorta.",
    "Heavily restricted aortic leaflets, with a tight orifice and dephasing above the valve.",
    "The aortic cusps are [calcified|thickened] and hardly move.",
)
PULMONARY_NAMED = (
    "{Defect_grade} pulmonary [stenosis|valve stenosis].",
    "There is {defect_grade} [pulmonary stenosis|pulmonic stenosis|PS].",
)
PULMONARY_DESCRIBED = (
    "[The RV outflow tract is narrow|The pulmonary valve domes in systole], with a [{defect_grade}|] jet into the pulmonary trunk.",
    "Narrowing at the [pulmonary valve|RV outflow] with flow acceleration ({defect_grade}).",
)
BICUSPID_NAMED = (
    "[Bicuspid aortic valve|BAV][ with a raphe|].",
    "The aortic valve is bicuspid[, with fused right and left coronary cusps|].",
)
BICUSPID_DESCRIBED = (
    "The aortic valve has two [leaflets|cusps][ with a raphe|], opening like a fish mouth.",
    "Only two aortic cusps are seen[ in the valve plane|].",
)
SAM_NAMED = (
    "[Systolic anterior motion|SAM] of the [anterior|] mitral [leaflet|valve][ with septal contact|].",
    "There is [systolic anterior motion (SAM)|systolic anterior motion|SAM] of the mitral valve, with LVOT [narrowing|obstruction].",
)
SAM_DESCRIBED = (
    "The anterior mitral leaflet [moves to|touches] the septum in systole and narrows the outflow tract.",
    "Dynamic narrowing of the LVOT in systole by the mitral leaflet, with a jet into the aorta.",
)
SAM_MINOR = (
    "Mild chordal motion towards the septum in systole, without outflow tract obstruction.",
    "The mitral chordae bow slightly into the outflow tract without obstruction.",
)
PROSTHESIS_NAMED = (
    "[Prosthetic {prosthesis} valve|{Prosthesis_kind} {prosthesis} valve prosthesis] [in place|in situ][ with the expected signal void|].",
    "There is a {prosthesis_kind} {prosthesis} valve, well seated.",
    "{Prosthesis_kind} {prosthesis} prosthetic valve, which limits assessment of flow.",
)
PROSTHESIS_DESCRIBED = (
    "[Susceptibility artifact|Signal void] at the {prosthesis} [annulus|valve position] from a replaced valve.",
    "The {prosthesis} valve has been replaced; metal artifact is present.",
)

# -- great vessels ----------------------------------------------------------------------------------------------------

AORTA_NORMAL = (
    "The [thoracic aorta|ascending aorta|aortic root] is [normal in caliber|not dilated|unremarkable].",
    "Aortic root {root}[, ascending aorta {ascending}|], [normal|within normal limits].",
)
AORTA_DESCRIBED = (
    "[The ascending aorta|Ascending aorta] {ascending_word}[, {ascending}| ({ascending})]; [root|aortic root] {root}, {root_word}.",
    "Aortic dimensions: root {root} ({root_word}), ascending aorta {ascending} ({ascending_word}).",
)
AORTA_NAMED = (
    "[{Aorta_grade} aortic dilation|{Aorta_grade} dilation of the {aorta_part}], {aorta_width}.",
    "There is {aorta_grade} [aortic dilation|dilation of the aorta] at the {aorta_part} ({aorta_width}).",
)
TRUNK_NORMAL = (
    "The [pulmonary trunk|main pulmonary artery] is [normal in caliber|not dilated][, {trunk}| ({trunk})|].",
    "Main pulmonary artery {trunk}, normal.",
)
TRUNK_SMALL = (
    "The [pulmonary trunk|main pulmonary artery] is small[, {trunk}| ({trunk})|].",
    "Main pulmonary artery {trunk}, which is small.",
)
TRUNK_DESCRIBED = (
    "The [pulmonary trunk|main pulmonary artery|main PA] is {trunk_word}[, {trunk}| at {trunk}|].",
    "[Main pulmonary artery|Pulmonary trunk] [diameter|] {trunk} ({trunk_word}).",
)
TRUNK_NAMED = (
    "{Trunk_grade} pulmonary artery dilation[, {trunk}|].",
    "There is {trunk_grade} dilation of the [pulmonary artery|main pulmonary artery] to {trunk}.",
)

WIDTH: Mapping[int, tuple[str, ...]] = {
    0: ("normal", "not dilated"),
    1: ("mildly dilated", "mildly enlarged"),
    2: ("moderately dilated", "moderately enlarged"),
    3: ("severely dilated", "markedly dilated"),
}
