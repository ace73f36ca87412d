"""The words of series descriptions: which plane they name, and which say that a series is no standard cine.

Patterns are matched against a description that `descriptions.tokenise` has brought to one form: lower case, no accents,
letters and digits apart, single spaces (`"bFFE_BH_SA"` becomes `"bffe bh sa"`, `"T1Map"` becomes `"t 1 map"`).
Sequence names are those of the vendors' own protocols (GE: FIESTA, MDE, FGRE; Siemens: TrueFISP, HASTE; Philips: B-FFE,
B-TFE).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _words(text: str) -> re.Pattern[str]:
    """A pattern for any of the patterns in `text`, which are parted by spaces; a space inside one is written "_"."""
    return re.compile(r"\b(?:" + "|".join(part.replace("_", " ") for part in text.split()) + r")\b")


NUMBER_WORDS = {
    **dict.fromkeys(_set("two zwei deux dos twee due dois duas tva to ii"), "2"),
    **dict.fromkeys(_set("three drei trois tres drie tre iii"), "3"),
    **dict.fromkeys(_set("four vier quatre cuatro quattro quatro fyra fyr fire iv"), "4"),
    **dict.fromkeys(_set("five funf cinq cinco vijf v"), "5"),
}

CHAMBER_WORDS = _set(
    """ch chs cv chb chm chbr chmb chmbr cha cham chamb chambs chamber chambers chambre chambres c cav cavs cavite
    cavites cavidad cavidades cam camara camaras camera camere kb kammer kammern kammerblick kamer kamers
    kammare kammar"""
)
LONG_CHAMBER_WORDS = ("chamber", "chambers", "chambre", "kammer", "kammerblick", "cavites", "cavidades", "camaras")

_SHORT = r"(?:short|shot|sh|shrt|s|kurze?r?|korte?|court|petit|corto|curto)"
_AXIS = r"(?:axis|axes|axe|axs|axi|axial|ax|achse|achsen|akse|axel|as|eje|eixo|asse)"
_SHORT_WORD = r"(?:short|kurze?|korte?|court|petit|corto|curto)"
_AXIS_WORD = r"(?:axis|axe|achse|akse|axel|as|eje|eixo|asse)"
_LONG = r"(?:long|longitudinal|l|lange?r?|grand|largo|longo|lungo)"
_LONG_AXIS = rf"(?:lax?|{_LONG} {_AXIS}|{_AXIS} {_LONG})"
_HORIZONTAL = r"(?:horizontal\w*|horiz|hor)"
_VERTICAL = r"(?:vertical\w*|vertikal\w*|vert)"

CINE = _words(
    """cines? cin kine cined fiesta trufi trufisp truefisp tfisp fisp bssfp ssfp bffe ffe btfe bfe tfe gre fgre
    spgr fspgr fl flash funct function functional fonction funktion funcion retro"""
)
SAX = re.compile(
    r"\b(?:sax|saxs|sa|sao|saox|shax|shx|shortax|kurzachse?n?|kurzachsenschnitte?|(?:short|sh) stack|cine short$"
    rf"|{_SHORT} {_AXIS}|{_AXIS_WORD} {_SHORT_WORD})(?=\b)"
)
SAX_GERMAN_ABBREVIATION = re.compile(r"\bka\b")
HLA = re.compile(rf"\b(?:hlax?|h la|h lax|{_HORIZONTAL} (?:lax?|{_LONG}(?: {_AXIS})?)|{_LONG_AXIS} {_HORIZONTAL})\b")
VLA = re.compile(rf"\b(?:vlax?|v la|v lax|{_VERTICAL} (?:lax?|{_LONG}(?: {_AXIS})?)|{_LONG_AXIS} {_VERTICAL})\b")
LAX = re.compile(rf"\b(?:laxs|{_LONG_AXIS})\b")
THREE_CHAMBER_NAME = re.compile(rf"\b(?:a?plax|aplx|(?:parasternal|apical) (?:lax|{_LONG} {_AXIS}))\b")
LVOT = re.compile(r"\b(?:lvot|lvat|left (?:ventricular )?outflow(?: tract)?|lv outflow(?: tract)?)\b")
# Siemens protocols of the UK Biobank kind name the three-chamber view "LAX_3Ch" and the coronal outflow view
# "CINE_segmented_LVOT"; a numbered or coronal LVOT is likewise not the three-chamber view.
LVOT_OTHER_PLANE = _words(r"segmented cor coronal cross xs perp\w* oblique sa sax lvot_\d lvat_\d")
LEFT = _words("lv left biv biventricular linke?r? vi vg")
# Where these stand, "de" is a preposition ("cine de eje corto") and not delayed enhancement.
ROMANCE = _words(
    """eje corto corta curto eixo asse petit grand axe largo camaras? cavidades cavites camere coupes? cortes?
    vista vue plano"""
)


@dataclass(frozen=True)
class Exclusion:
    """Words that say: not one of the four standard cines.

    Attributes:
        reason: said to the reader.
        pattern: matched against the tokenised description.
        hard: also overrules plane geometry (a late-enhancement stack *is* a short-axis stack, but no cine); soft ones
            (real-time, trial runs, body planes) only keep the description from naming a view.
        unless_cine: holds only where no word of a cine sequence stands beside it.
    """

    reason: str
    pattern: re.Pattern[str]
    hard: bool = True
    unless_cine: bool = False


LATE_ENHANCEMENT = Exclusion(
    "late enhancement",
    _words(
        r"""lge ege dhe \w*mde dme psir\w* ps pse viab\w* autoviab delay\w* late overview enh\w* tardi\w*
        spat\w* nachkontrast\w*"""
    ),
)
OUTFLOW_REASON = "great vessels, valves or outflow"

EXCLUSIONS = (
    LATE_ENHANCEMENT,
    Exclusion("tagging or strain encoding", _words(r"m?tags? tagg\w* mtag grid c?spamm dense \w*senc harp")),
    Exclusion(
        "T1, T2 or T2* imaging or mapping",
        _words(
            r"""s?h?molli sasha map\w* \w*map mapping moco ecv m?grase t_[12] r_2 me mfgre megre mefgre mffe
            \d+_(?:ec|echo|echoes) multi_echoe?s? multiecho bold dwi dti diffusion cest asl"""
        ),
    ),
    Exclusion("inversion recovery (TI scout)", _words(r"ir irp ti inversion\w* ll look_locker")),
    Exclusion(
        "black-blood or anatomical imaging",
        _words(
            r"""haste hast \w*fse tse dir tir tirm stir spair spir db bb dark black blood spin_echo schwarz
            sang_noir blade vibe lava thrive dixon mdixon fat water inphase outphase liver leber lung chest
            thorax"""
        ),
    ),
    Exclusion("angiography or vessels", _words(r"mra mrv angio\w* twist tricks coronar(?:y|ies|ien) caval svc ivc")),
    Exclusion(
        "perfusion or stress",
        _words(r"perf\w* first_pass firstpass stress\w* adeno\w* regad\w* dobu\w* dipyr\w* dyn dynamic durchblutung"),
    ),
    Exclusion(
        "imaging before or after contrast",
        _words(r"tfl gad gado\w* gd contrast kontrast pre post \d+_min"),
        unless_cine=True,
    ),
    Exclusion("perfusion or stress", _words("rest ruhe repos"), unless_cine=True),
    Exclusion(
        "flow or velocity",
        _words(
            r"""flows? flowq s?qflow inflow pc fastpc pcmr pcmri venc\w* velo\w* vel phase_contrast \d_df tpm fluss
            flux flusso flujo fluxo debit q qp qs"""
        ),
    ),
    Exclusion(
        "localiser or planning scan",
        _words(
            r"""locs? locali[sz]\w* locator lokali\w* reperage scouts? scouting surveys? surv planning planner
            planscan plan_scan scan_plan defin\w* approx\w* pseudo ref reference calib\w* cal shim pilot 3_pl
            3_planes? triplane prescan preview"""
        ),
    ),
    Exclusion(
        "derived or magnitude images",
        _words(r"mag avg average processed mpr mip reformat\w* results? subtraction eddy"),
    ),
    Exclusion("single images, no cine", _words("single_shot singleshot static")),
    Exclusion("single images, no cine", _words("ss se"), unless_cine=True),
    Exclusion(
        OUTFLOW_REASON,
        _words(
            r"""ao\w? aort\w* aov av arch root pa mpa rpa lpa pulm\w* pul pv pvs valves? valv\w* klappen?\w*
            \w*klappe mitral\w* mv tv tri[ck]usp\w* veins? orifice shunt asd vsd pfo iasd conduit baffle
            coarc\w* ductus candy 5_ch"""
        ),
    ),
    Exclusion("atria", _words(r"atri\w* laa appendage vorh\w* oreillettes? auricul\w*")),
    Exclusion(
        "real-time or ungated",
        _words("real_time realtime rt echtzeit temps_reel tiempo_real ungated non_gated"),
        hard=False,
    ),
    Exclusion("trial run", _words("tests? trial dummy practice"), hard=False),
)

RIGHT_HEART = Exclusion(
    "right heart",
    _words("rv rv(?:ot|it|la|lax|sa|sax|at|out|in|inflow|outflow) right rechte?r?s? droite? derech[oa] destro vd ra"),
)
OUTFLOW = Exclusion(OUTFLOW_REASON, _words("outflow outlet ausflusstrakt"))
UNCLEAR_LVOT = Exclusion(OUTFLOW_REASON, LVOT, hard=False)
BODY_PLANE = Exclusion(
    "axial, coronal or sagittal plane",
    _words(r"ax axials? transv\w* transax\w* tra trans cor coronal\w* sag sagit\w* lao rao"),
    hard=False,
)
SHORT_OR_LONG_AXIS = re.compile(
    rf"\b(?:{_SHORT}|{_LONG}|h|v|horiz\w*|vert\w*) {_AXIS}\b|\b{_AXIS} (?:{_SHORT_WORD}|{_LONG})\b"
)

# Words that glued names ("CineIR", "shortaxis", "2chstack") are cut into, where they cover all of the name.
GLUED = _set(
    """cine fiesta trufi trufisp tfisp bffe btfe ssfp bssfp fast sax sa hla vla hlax vlax lax short long axis ax
    achse kurz kurze kurzachse lange eje corto largo petit axe kort korte as akse axel ch chamber chambers chamb
    cham kammer kammern kammerblick kamer kamers kammare kb cav cavites camaras cavidades view blick stack stk
    mid base basal apex apical lv rv ir psir lge de mde dhe pc flow tag tags grid perf stress rest map loc locs
    scout survey real time free breathing breath hold single shot phase contrast mag define retro bh nbh fb lvot
    rvot vert vertical horizontal horiz slices slice sl test haste tse fse realtime molli moco iv ii iii two
    three four zwei drei vier twee drie deux trois quatre cuatro tres dos due tre quattro fyra fyr repeat rpt
    new segmented seg sagittal coronal axial tra cor"""
)
KNOWN = (
    GLUED
    | CHAMBER_WORDS
    | _set(
        """ipat tpat asset sense arc grappa cs shortest sort shmolli sasha dirfse ssfse autoviab inlinevf funct
        function cined localizer localiser coil chest liver fat water dixon adenosine resolution iso minimal
        radial overview delayed enhancement"""
    )
)
