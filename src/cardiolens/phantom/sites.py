"""Sites: where phantom patients are scanned, so that the shift from one to another can be studied.

    site = SITES["referral"]
    protocol = site.protocol(np.random.default_rng(0))
    site.style_of(protocol)                      # how its DICOM is laid out

A site is its scanners, the habits of its operators, and its population (`persons.POPULATIONS`, by name).  "default"
is near the Sunnybrook cines (GE, 1.5 T; TR, TE, flip angle, matrix and field read off their headers); "biobank" follows
the CMR protocol of the UK Biobank (Petersen et al., J Cardiovasc Magn Reson 2016;18:8: 1.5 T, TR 2.6 ms, TE 1.1 ms, 80
degrees, parallel imaging 2, 1.8 x 1.8 x 8 mm with 2 mm gaps, 50 phases).  The other sites, and every spread, are this
package's choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from cardiolens.errors import PhantomError
from cardiolens.phantom.mr.protocol import Protocol

Range = tuple[float, float]
_STYLES: Mapping[str, str] = MappingProxyType({"ge": "ge", "siemens": "siemens", "philips": "enhanced"})


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """One scanner and how its examinations differ.

    Attributes:
        base: what they share; share: of the site's patients.
        matrices: (acquired, stored) pairs, dealt at random; phases, sax_planes: dealt at random, () for the base's.
        field_mm, acquired: ranges; phase_field: choices.
        noise_spread: deviation of the logarithm of the noise.
        off_resonance_hz: mean and deviation.
        wrapped, misgated, rounded, restless: chance that the field is too small without oversampling, that the R wave
            is found at the wrong time, that the image is cut to a circle, that the patient breathes on.
        breath_hold_mm: range; some patients hold their breath better than others.
        agent_mm: range of gadolinium in the blood.
    """

    base: Protocol
    share: float = 1.0
    matrices: tuple[tuple[int, int], ...]
    phases: tuple[int, ...] = ()
    sax_planes: tuple[int, ...] = ()
    field_mm: Range
    phase_field: tuple[float, ...] = (1.0,)
    acquired: tuple[Range, Range] = ((0.6, 0.8), (0.75, 0.95))
    noise_spread: float = 0.3
    off_resonance_hz: Range = (62.0, 15.0)
    wrapped: float = 0.0
    misgated: float = 0.02
    rounded: float = 0.0
    breath_hold_mm: Range = (0.8, 2.5)
    restless: float = 0.03
    agent_mm: Range = (0.0, 0.0)

    def draw(self, rng: np.random.Generator) -> Protocol:
        """Protocol of one examination; always the same number of random draws."""
        matrix, stored = self.matrices[int(rng.integers(len(self.matrices)))]
        phases = self.phases or (self.base.phases,)
        planes = self.sax_planes or (self.base.sax_planes,)
        mean, deviation = self.off_resonance_hz
        chances = (self.wrapped, self.misgated, self.rounded, self.restless)
        wrapped, misgated, rounded, restless = rng.random(4) < chances
        breathing = float(rng.uniform(0.8, 3.5))
        phase_field = float(rng.choice(self.phase_field))
        late = float(rng.uniform(0.04, 0.12)) * (1.0 if rng.random() < 0.7 else -1.0)
        return self.base.with_(
            matrix=matrix,
            recon_matrix=stored if stored != matrix else None,
            phases=int(rng.choice(phases)),
            sax_planes=int(rng.choice(planes)),
            field_mm=round(float(rng.uniform(*self.field_mm)) / 5.0) * 5.0,
            phase_field=max(0.55, phase_field - 0.15) if wrapped else phase_field,
            wrap=bool(wrapped),
            phase_encoding="COL" if rng.random() < 0.7 else "ROW",
            acquired=(float(rng.uniform(*self.acquired[0])), float(rng.uniform(*self.acquired[1]))),
            noise=self.base.noise * float(np.exp(np.clip(rng.normal(), -2.0, 2.0) * self.noise_spread)),
            off_resonance_hz=max(0.0, float(rng.normal(mean, deviation))),
            trigger_delay=late if misgated else 0.0,
            round_field=bool(rounded),
            breath_hold_mm=float(rng.uniform(*self.breath_hold_mm)),
            breathing_mm=breathing if restless else 0.0,
            agent_mm=float(rng.uniform(*self.agent_mm)),
        )


@dataclass(frozen=True, kw_only=True)
class Site:
    """A place that scans.

    Attributes:
        name; about: one line for a list.
        population: name in `persons.POPULATIONS`.
        styles: vendor to the layout of its DICOM (`phantom.dicom.STYLES`).
    """

    name: str
    about: str
    population: str
    scanners: tuple[Scanner, ...]
    styles: Mapping[str, str] = field(default_factory=lambda: _STYLES)

    def protocol(self, rng: np.random.Generator) -> Protocol:
        """Draw a scanner by its share, and one examination on it."""
        shares = np.array([scanner.share for scanner in self.scanners])
        chosen = int(rng.choice(len(shares), p=shares / shares.sum()))
        return self.scanners[chosen].draw(rng)

    def style_of(self, protocol: Protocol) -> str:
        """DICOM layout of the scanner that the protocol belongs to."""
        return self.styles[protocol.vendor]


def site_named(name: str) -> Site:
    """The site, or `PhantomError` that lists the known ones."""
    if name not in SITES:
        raise PhantomError(f"unknown site {name!r}; known are {', '.join(SITES)}")
    return SITES[name]


_GE15 = Protocol(phases=20, sax_planes=12, slice_gap_mm=None, channels=4, noise=0.009, shading=1.8)
_SIEMENS15 = Protocol(
    vendor="siemens",
    repetition_ms=2.9,
    echo_ms=1.25,
    flip_deg=65.0,
    bandwidth_hz=930.0,
    acceleration=2.0,
    evened=0.8,
    lines_per_segment=13,
    slice_gap_mm=2.0,
    noise=0.011,
)
_SIEMENS3 = _SIEMENS15.with_(
    field_strength_t=3.0, repetition_ms=3.1, echo_ms=1.36, flip_deg=45.0, noise=0.008, flow_artefact=0.03
)
_PHILIPS15 = Protocol(
    vendor="philips",
    repetition_ms=3.0,
    echo_ms=1.5,
    flip_deg=60.0,
    bandwidth_hz=1250.0,
    acceleration=1.7,
    evened=0.9,
    partial_fourier=0.8,
    phases=30,
    slice_gap_mm=2.0,
    noise=0.012,
)
_PHILIPS3 = _PHILIPS15.with_(
    field_strength_t=3.0, repetition_ms=2.8, echo_ms=1.4, flip_deg=42.0, noise=0.009, flow_artefact=0.04
)
_HZ3 = (125.0, 40.0)

SITES: Mapping[str, Site] = MappingProxyType(
    {
        site.name: site
        for site in (
            Site(
                name="default",
                about="one 1.5 T scanner, 256 x 256, 20 phases; like the Sunnybrook cines",
                population="default",
                scanners=(
                    Scanner(base=_GE15, matrices=((256, 256),), field_mm=(320.0, 380.0), wrapped=0.02, rounded=0.5),
                ),
            ),
            Site(
                name="biobank",
                about="one 1.5 T scanner, mostly healthy people, 50 phases, 10 planes of 8 mm with 2 mm gaps",
                population="biobank",
                scanners=(
                    Scanner(
                        base=_SIEMENS15.with_(
                            repetition_ms=2.6, echo_ms=1.1, flip_deg=80.0, phases=50, sax_planes=10, slice_gap_mm=2.0
                        ),
                        matrices=((208, 208),),
                        field_mm=(375.0, 385.0),
                        phase_field=(0.79, 0.87),
                        acquired=((0.85, 0.9), (0.97, 1.0)),
                        noise_spread=0.2,
                        misgated=0.01,
                    ),
                ),
                styles=MappingProxyType({"siemens": "ukb"}),
            ),
            Site(
                name="referral",
                about="four scanners at 1.5 and 3 T, all diseases, breath-holds and rhythms as they come",
                population="referral",
                scanners=(
                    Scanner(
                        base=_SIEMENS15,
                        share=0.45,
                        matrices=((192, 192), (208, 208), (256, 256)),
                        phases=(25, 25, 30),
                        field_mm=(320.0, 400.0),
                        phase_field=(0.75, 0.8125, 1.0),
                        wrapped=0.08,
                        misgated=0.06,
                        breath_hold_mm=(0.8, 4.0),
                        restless=0.1,
                    ),
                    Scanner(
                        base=_GE15.with_(phases=25, slice_gap_mm=2.0),
                        share=0.3,
                        matrices=((192, 256), (256, 256), (224, 512)),
                        phases=(20, 25, 30),
                        field_mm=(320.0, 400.0),
                        wrapped=0.06,
                        misgated=0.06,
                        rounded=0.2,
                        breath_hold_mm=(0.8, 4.0),
                        restless=0.1,
                    ),
                    Scanner(
                        base=_SIEMENS3,
                        share=0.12,
                        matrices=((208, 208), (256, 256)),
                        field_mm=(330.0, 390.0),
                        phase_field=(0.8125, 1.0),
                        off_resonance_hz=_HZ3,
                        misgated=0.05,
                        breath_hold_mm=(0.8, 4.0),
                        restless=0.1,
                    ),
                    Scanner(
                        base=_PHILIPS3,
                        share=0.13,
                        matrices=((176, 256), (192, 288)),
                        field_mm=(330.0, 390.0),
                        off_resonance_hz=_HZ3,
                        misgated=0.05,
                        breath_hold_mm=(0.8, 4.0),
                        restless=0.1,
                    ),
                ),
            ),
            Site(
                name="challenge",
                about="three vendors the training sites never used this way: other matrices, phases and thicknesses",
                population="challenge",
                scanners=(
                    Scanner(
                        base=_PHILIPS15.with_(slice_thickness_mm=10.0, slice_gap_mm=0.0, sax_planes=11),
                        share=0.35,
                        matrices=((160, 320), (192, 320), (160, 240)),
                        phases=(25, 30),
                        field_mm=(320.0, 420.0),
                        acquired=((0.65, 0.85), (0.85, 1.0)),
                        wrapped=0.05,
                    ),
                    Scanner(
                        base=_SIEMENS15.with_(gating="prospective", covered=0.88, slice_thickness_mm=7.0),
                        share=0.35,
                        matrices=((192, 192), (160, 224), (256, 256)),
                        phases=(18, 22, 25),
                        field_mm=(300.0, 400.0),
                        phase_field=(0.75, 0.8125),
                        wrapped=0.1,
                    ),
                    Scanner(
                        base=_GE15.with_(phases=30, slice_thickness_mm=10.0, slice_gap_mm=0.0, channels=8),
                        share=0.15,
                        matrices=((200, 512), (224, 256)),
                        field_mm=(360.0, 440.0),
                        rounded=0.3,
                    ),
                    Scanner(
                        base=_SIEMENS3.with_(phases=30, evened=0.0),
                        share=0.15,
                        matrices=((208, 208), (192, 256)),
                        field_mm=(330.0, 390.0),
                        off_resonance_hz=_HZ3,
                    ),
                ),
            ),
            Site(
                name="post-contrast",
                about="3 T, cine after gadolinium to save time",
                population="post-contrast",
                scanners=(
                    Scanner(
                        base=_SIEMENS3.with_(phases=25),
                        share=0.6,
                        matrices=((208, 208), (256, 256)),
                        field_mm=(330.0, 390.0),
                        phase_field=(0.8125, 1.0),
                        off_resonance_hz=_HZ3,
                        agent_mm=(0.2, 0.5),
                    ),
                    Scanner(
                        base=_PHILIPS3,
                        share=0.4,
                        matrices=((192, 288), (176, 352)),
                        field_mm=(330.0, 390.0),
                        off_resonance_hz=_HZ3,
                        agent_mm=(0.2, 0.5),
                    ),
                ),
            ),
        )
    }
)
"""Presets by name."""
