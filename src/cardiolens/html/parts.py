"""What the pages of a study share: templates, style and script with their hashes, facts of study and views."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from cardiolens.dicom.deid import Pseudonym, Scrubber
from cardiolens.privacy import age_words
from cardiolens.study import Cine, Study


def environment() -> Environment:
    """Templates that escape whatever they show and refuse names that they do not know."""
    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=PackageLoader("cardiolens.html", ""),
    )


def page_parts() -> dict[str, str]:
    """Style and script, and the hashes under which the page's policy lets them run."""
    css, js = _part("report.css"), _part("report.js")
    return {"css": css, "js": js, "css_hash": _csp_hash(css), "js_hash": _csp_hash(js)}


def scrubber_of(study: Study) -> Scrubber:
    """Strikes the study's own raw identifiers and UIDs out of a text, should one have come this far."""
    raw = [text.strip() for text in (study.patient, study.accession) if text and not isinstance(text, Pseudonym)]
    return Scrubber(dict.fromkeys(filter(None, raw), "[identifier removed]"))


def _part(name: str) -> str:
    return resources.files("cardiolens.html").joinpath(name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def study_facts(study: Study, strike: Scrubber) -> list[tuple[str, str]]:
    """Site, sex, age and views, as far as known."""
    facts = [
        ("Site", strike(study.site) if study.site else ""),
        ("Sex", {"F": "female", "M": "male"}.get(study.sex or "", "")),
        ("Age", age_words(study.age)),
        (
            "Views",
            ", ".join(
                f"{cine.view} ({cine.n_slices})" if cine.n_slices > 1 else str(cine.view) for cine in study.cines
            ),
        ),
    ]
    return [(label, value) for label, value in facts if value]


def view_facts(cine: Cine, strike: Scrubber) -> dict[str, str]:
    """One row of the table of what was read."""
    spacing, positions = cine.spacing_mm, cine.slice_positions_mm
    step = ""
    if positions is not None and cine.n_slices > 1:
        step = f"{(positions[-1] - positions[0]) / (cine.n_slices - 1):.1f} mm"
    return {
        "view": str(cine.view),
        "planes": str(cine.n_slices),
        "phases": str(cine.n_phases),
        "matrix": f"{cine.shape[2]} × {cine.shape[3]}",
        "spacing": f"{spacing[0]:.3f} × {spacing[1]:.3f} mm" if spacing else "unknown",
        "step": step or "–",
        "source": strike(cine.source) or "–",
    }
