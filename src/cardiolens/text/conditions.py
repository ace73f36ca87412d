"""The 35 conditions of Shad et al., in the paper's order, by the names this package uses.

"normal" is the paper's "PureNormal": none of the others, with figures in their reference ranges.
"""

from __future__ import annotations

from dataclasses import dataclass

NORMAL = "normal"


@dataclass(frozen=True)
class Condition:
    """One condition.  `name`: as this package writes it; `published`: as the paper's tables do."""

    name: str
    published: str

    @property
    def column(self) -> str:
        """Name of its column in a table of labels."""
        return self.name.replace(" ", "_").replace("-", "_")


CONDITIONS: tuple[Condition, ...] = tuple(
    Condition(name, published)
    for name, published in (
        ("amyloidosis", "Amyloid"),
        ("aortic dilation", "Aortic dilation"),
        ("arrhythmogenic right ventricular cardiomyopathy", "Arrhythmogenic right ventricular cardiomyopathy"),
        ("atrial myxoma", "Atrial Myxoma"),
        ("atrial septal defect", "Atrial Septal Defect"),
        ("bicuspid aortic valve", "Bicuspid Valve"),
        ("cardiac thrombus", "Cardiac Thrombus"),
        ("cardiac tumor", "Cardiac Tumor"),
        ("hypertrophic cardiomyopathy", "Hypertrophic Cardiomyopathy"),
        ("ischemic cardiomyopathy", "Ischemic Cardiomyopathy"),
        ("large pericardial effusion", "Large Pericardial Effusion"),
        ("left atrial dilation", "Left Atrial Dilation"),
        ("left ventricular dilation", "Left Ventricular Dilation"),
        ("left ventricular hypertrophy", "Left Ventricular Hypertrophy"),
        ("lipomatous atrial wall", "Lipomatous Atrial Wall"),
        ("left ventricular non-compaction", "LV Non-Compaction"),
        ("myocarditis", "Myocarditis"),
        ("non-ischemic cardiomyopathy", "Non-Ischemic cardiomyopathy"),
        ("other cardiac mass", "Other Cardiac Mass"),
        ("pericarditis", "Pericarditis"),
        ("previous surgery", "Previous Surgery"),
        ("prosthetic valve", "Prosthetic Valve"),
        ("pulmonary artery dilation", "Pulmonary Dilation"),
        ("pulmonary hypertension", "Pulmonary Hypertension"),
        ("pulmonary stenosis", "Pulmonary Stenosis"),
        (NORMAL, "PureNormal"),
        ("right atrial dilation", "Right Atrial Dilation"),
        ("right ventricular dilation", "Right Ventricular Dilation"),
        ("right ventricular hypertrophy", "Right Ventricular Hypertrophy"),
        ("sarcoidosis", "Sarcoidosis"),
        ("severe aortic stenosis", "Severe Aortic Stenosis"),
        ("severe mitral regurgitation", "Severe Mitral Regurgitation"),
        ("systolic anterior motion", "Systolic Anterior Motion of Mitral"),
        ("tetralogy of Fallot", "Tetralogy"),
        ("ventricular septal defect", "Ventricular Septal Defect"),
    )
)
CONDITION_NAMES: tuple[str, ...] = tuple(condition.name for condition in CONDITIONS)
