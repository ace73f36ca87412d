"""One spelling for the rules to read: British to American, hyphens, signs, and slips of typing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_SIGNS = str.maketrans(
    {
        "\u00b2": "2",
        "\u00b3": "3",
        "\u2013": "-",
        "\u2014": ";",
        "\u2212": "-",
        "\u2019": "'",
        "\u00a0": " ",
        "\u2265": ">",
        "\u2264": "<",
    }
)
_SPELLINGS: Mapping[str, str] = {
    r"haem": "hem",
    r"ischaem": "ischem",
    r"o(edema)": r"\1",
    r"tumour": "tumor",
    r"dilatat(?=ed|ion|ions)": "dilat",
    r"dilitation": "dilation",
    r"calibre": "caliber",
    r"aetiolog": "etiolog",
    r"fibre": "fiber",
    r"favour": "favor",
    r"behaviour": "behavior",
    r"centre": "center",
    r"neighbour": "neighbor",
    r"(charact\w+|visual|normal|organ|local)is(?=ed|ation|ing|e\b)": r"\1iz",
    r"pulmonic valvular": "pulmonary valve",
    r"valvular pulmon": "valvar pulmon",
}
_JOINED = re.compile(r"\bnon[- ](?=ischem|compact|dilat|hypertroph|enlarg|coronary|obstruct|cardiac\b)", re.IGNORECASE)
_DOUBLED = re.compile(r"\b([A-Za-z]+) \1\b", re.IGNORECASE)  # "is is", as dictated
_SIDES = tuple(  # "Atria: left mildly dilated, right normal"
    (
        re.compile(rf"{topic}(?:[ -]\w+)?\s*:", re.IGNORECASE),
        re.compile(rf"\b(left|right)\b(?! (?:heart|and right|{noun[:4]}))", re.IGNORECASE),
        noun,
    )
    for topic, noun in (("atri(?:a|al)", "atrium"), ("ventric(?:les|ular)", "ventricle"))
)
_WORD = re.compile(r"[A-Za-z]{6,}")

# Words of reports that a slip may have spoilt, beyond those in the names of the conditions.
WORDS = frozenset(
    """
    severe severely moderate moderately mildly marked markedly dilated dilation enlarged enlargement normal borderline
    aneurysm aneurysmal thickened thickness thickening hypertrophied hypertrophy increased ventricle ventricular
    ventricles atrium atrial biatrial biventricular aortic pulmonary mitral tricuspid bicuspid trileaflet pericardial
    pericardium effusion thrombus stenosis regurgitation insufficiency evidence without negative absent absence
    excluded exclude unlikely possible possibly probable probably suspicious suspected concerning consistent compatible
    suggestive suggest suggests questionable history previous previously status family mother father brother sister
    evaluate assess myocardial myocardium cardiomyopathy systolic diastolic anterior motion ejection fraction function
    reduced measures measuring measured chamber chambers septum septal concentric asymmetric prosthetic prosthesis
    mechanical bioprosthetic replacement ascending descending trabeculation noncompacted compacted nonischemic ischemic
    identified demonstrated visualized detected appreciated present constrictive inflammation inflammatory tetralogy
    """.split()  # noqa: SIM905 - a list of strings would be four times as long
)
# Words of their own that are one letter from one of those above.
_RIGHT = frozenset(
    """
    prevent presents formal market masked passes passed former motions notion lesions legion patient patients patent
    sternal sterna functional functions resolved absences reduces measure atypical typical excludes identify
    """.split()  # noqa: SIM905
)


def clean(sentence: str) -> str:
    """The sentence in the spelling of the rules; capitals stay as they are.

    >>> clean("No evidnce of non-ischaemic cardiomyopathy")
    'No evidence of nonischemic cardiomyopathy'
    """
    text = " ".join(sentence.translate(_SIGNS).split())
    for pattern, new in _SPELLINGS.items():
        text = re.sub(pattern, new, text, flags=re.IGNORECASE)
    text = _DOUBLED.sub(r"\1", _JOINED.sub("non", text))
    for topic, side, noun in _SIDES:
        if topic.match(text):
            text = side.sub(rf"\1 {noun}", text)
    return _WORD.sub(lambda match: _mended(match.group()), text)


def _mended(word: str) -> str:
    found = _nearest(word.lower())
    if found is None:
        return word
    return found.upper() if word.isupper() else found.capitalize() if word[0].isupper() else found


@lru_cache(maxsize=1)
def _lexicon() -> frozenset[str]:
    from cardiolens.text.definitions import load_definitions

    names = " ".join(
        name for d in load_definitions().values() for name in (*d.names, *d.graded_names, *d.excluded_with)
    )
    return WORDS | frozenset(word.lower() for word in _WORD.findall(_JOINED.sub("non", names)))


@lru_cache(maxsize=20_000)
def _nearest(word: str) -> str | None:
    """The one word of the lexicon at one slip: a letter more, less or other, or two swapped; else None."""
    lexicon = _lexicon()
    if word in lexicon or word in _RIGHT or (word.endswith("s") and word[:-1] in lexicon):
        return None
    near = sorted(
        known
        for known in lexicon
        if abs(len(known) - len(word)) <= 1 and _one_slip(word, known) and not _inflected(word, known)
    )
    return near[0] if len(near) == 1 or (near and len({n.rstrip("sd") for n in near}) == 1) else None


def _inflected(a: str, b: str) -> bool:
    """Whether one is the other with an ending: "increase" is no slip of "increased"."""
    return (a.startswith(b) or b.startswith(a)) and b != a + a[-1]


def _one_slip(a: str, b: str) -> bool:
    """Whether two different words are one insertion, deletion, substitution or swap of neighbours apart."""
    if len(a) > len(b):
        a, b = b, a
    start = 0
    while start < len(a) and a[start] == b[start]:
        start += 1
    if len(a) < len(b):
        return a[start:] == b[start + 1 :]
    rest_a, rest_b = a[start:], b[start:]
    return rest_a[1:] == rest_b[1:] or (rest_a[:2] == rest_b[1::-1] and rest_a[2:] == rest_b[2:])
