"""Views by plane geometry: hearts and operators vary; body planes, right heart and misleading descriptions."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.dicom.views import Candidate, ViewDecision, decide_views
from cardiolens.study import View

Array = np.ndarray
LONG = (View.CH2, View.CH3, View.CH4)
AHA_DEG = {View.CH4: 30.0, View.CH2: 90.0, View.CH3: 150.0}


def unit(v: object) -> Array:
    v = np.asarray(v, dtype=float)
    return v / np.linalg.norm(v)


class Heart:
    """A left ventricle in LPS: its apex points left, to the front and down; the wall angles are the AHA's, from lateral
    (0 degrees) through anterior (90) to septal (180), turned by the heart's roll."""

    def __init__(self, left_deg: float = 44.0, down_deg: float = 22.0, roll_deg: float = 0.0) -> None:
        left, down = np.deg2rad([left_deg, down_deg])
        self.axis = np.array([np.sin(left) * np.cos(down), -np.cos(left) * np.cos(down), -np.sin(down)])
        self.level = unit([-self.axis[1], self.axis[0], 0.0])  # level, to the left and back
        self.up = unit(np.array([0.0, 0.0, 1.0]) + self.axis * np.sin(down))
        self.roll_deg = roll_deg

    def wall(self, degrees: float) -> Array:
        t = np.deg2rad(degrees + self.roll_deg)
        return np.cos(t) * self.level + np.sin(t) * self.up

    def normal(self, view: View, turn_deg: float = 0.0, tilt_deg: float = 0.0) -> Array:
        """Normal of a plane that an operator turned about the long axis and tilted against it."""
        if view is View.SAX:
            return unit(self.axis + np.tan(np.deg2rad(tilt_deg)) * self.wall(turn_deg * 24))
        across = np.cross(self.axis, self.wall(AHA_DEG[view] + turn_deg))
        return unit(across + np.tan(np.deg2rad(tilt_deg)) * self.axis)


def cine(normal: object, description: str = "", n_planes: int = 1, **more: object) -> Candidate:
    return Candidate("k", description, normal=np.asarray(normal, float), n_planes=n_planes, n_phases=25, **more)  # type: ignore[arg-type]


def of(heart: Heart, view: View, description: str = "", *, turn: float = 0.0, tilt: float = 0.0) -> Candidate:
    return cine(heart.normal(view, turn, tilt), description, 10 if view is View.SAX else 1)


def alone(candidate: Candidate) -> ViewDecision:
    (decision,) = decide_views([candidate])
    return decision


hearts = st.builds(Heart, left_deg=st.floats(30, 58), down_deg=st.floats(8, 36), roll_deg=st.floats(-10, 10))
signs = st.sampled_from([-1.0, 1.0])


@settings(max_examples=60, deadline=None)
@given(hearts, st.lists(st.tuples(st.floats(-15, 15), st.floats(-6, 6), signs), min_size=4, max_size=4))
def test_a_full_study_is_told_apart_whatever_the_heart_and_operator(
    heart: Heart, plan: list[tuple[float, float, float]]
) -> None:
    views = (View.SAX, *LONG)
    planes = [
        cine(sign * heart.normal(v, turn, tilt), n_planes=10 if v is View.SAX else 1)
        for v, (turn, tilt, sign) in zip(views, plan, strict=True)
    ]
    for view, decision in zip(views, decide_views(planes), strict=True):
        assert decision.view in (view, None), (
            decision
        )  # never a wrong view; unsure at the far edge of the range at most
        assert decision.view is not None or "between" in (decision.reason or "")


def test_confusion_over_random_hearts_and_operators() -> None:
    """Uniform in a heart axis of +-14, a roll of +-12, an operator's turn of +-15 and tilt of +-6 degrees."""
    rng = np.random.default_rng(0)
    for views, floor in (
        ((View.SAX, *LONG), 0.99),
        (LONG, 0.97),
        ((View.CH4,), 0.9),
        ((View.CH2,), 0.9),
        ((View.CH3,), 0.85),
    ):
        confusion: Counter[tuple[View, View | None]] = Counter()
        for _ in range(80):
            heart = Heart(44 + rng.uniform(-14, 14), 22 + rng.uniform(-14, 14), rng.uniform(-12, 12))
            planes = [of(heart, v, turn=rng.uniform(-15, 15), tilt=rng.uniform(-6, 6)) for v in views]
            confusion.update((v, d.view) for v, d in zip(views, decide_views(planes), strict=True))
        total = sum(confusion.values())
        assert sum(n for (truth, said), n in confusion.items() if truth is said) / total >= floor, confusion
        assert sum(n for (truth, said), n in confusion.items() if said not in (truth, None)) / total <= 0.01, confusion


def test_the_real_sunnybrook_stacks_are_short_axis(shared_data: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    for patient in ("SCD0000101", "SCD0000201"):
        folder = shared_data / "real" / "sunnybrook_cine" / patient
        headers = [pydicom.dcmread(f, stop_before_pixels=True) for f in sorted(folder.glob("*.dcm"))[:40]]
        row, col = np.split(np.array(headers[0].ImageOrientationPatient, float), 2)
        positions = np.array(
            sorted({round(float(np.cross(row, col) @ np.array(h.ImagePositionPatient, float)), 1) for h in headers})
        )
        decision = alone(
            Candidate(
                patient, "", row_dir=row, col_dir=col, positions_mm=positions, n_planes=len(positions), n_phases=20
            )
        )
        assert decision.view is View.SAX
        assert decision.confidence > 0.9
        assert any("from the usual LV long axis" in line for line in decision.evidence)


@pytest.mark.parametrize(
    ("name", "normal"),
    [("axial", (0, 0, 1)), ("axial", (0.1, 0.08, -1)), ("coronal", (0, -1, 0)), ("sagittal", (1, 0, 0))],
)
@pytest.mark.parametrize("description", ["", "SAX_cine"])
def test_body_planes_are_no_view_even_when_called_short_axis(
    name: str, normal: tuple[float, ...], description: str
) -> None:
    decision = alone(cine(unit(normal), description, n_planes=12))
    assert decision.view is None
    assert name in (decision.reason or "")
    assert (decision.conflict is None) == (description == "")


def test_planes_that_fit_nothing_beside_a_short_axis_stack_are_no_view() -> None:
    heart = Heart()
    outflow = unit(heart.axis + 0.45 * heart.wall(150) + 0.3 * heart.wall(90))
    stack, decision = decide_views([of(heart, View.SAX), cine(outflow)])
    assert stack.view is View.SAX
    assert decision.view is None
    assert 'view="4CH"' in (decision.reason or "")


def test_a_single_plane_parallel_to_the_stack_is_short_axis_and_its_evidence_says_so() -> None:
    heart = Heart()
    decision = decide_views([of(heart, View.SAX), cine(heart.normal(View.SAX, tilt_deg=2))])[1]
    assert decision.view is View.SAX
    assert any("parallel to the short-axis stack" in line for line in decision.evidence)


def test_a_stack_given_as_one_series_a_plane_is_one_stack() -> None:
    heart = Heart()
    planes = [cine(heart.axis, centres_mm=(heart.axis * 10.0 * i)[None]) for i in range(9)]
    for decision in decide_views(planes):
        assert decision.view is View.SAX
        assert "one of 9 parallel planes in this study" in decision.evidence


def test_rescans_of_one_plane_are_no_stack() -> None:
    heart = Heart()
    rescans = [cine(heart.normal(View.CH4), centres_mm=np.zeros((1, 3))) for _ in range(6)]
    assert {d.view for d in decide_views(rescans)} == {View.CH4}


def test_geometry_overrules_swapped_descriptions_and_reports_it() -> None:
    heart = Heart()
    planes = [
        of(heart, View.SAX, "2CH"),
        of(heart, View.CH4, "2CH"),
        of(heart, View.CH2, "4CH_FIESTA"),
        of(heart, View.CH3, "3CH"),
    ]
    decisions = decide_views(planes)
    assert [d.view for d in decisions] == [View.SAX, View.CH4, View.CH2, View.CH3]
    assert [d.conflict is not None for d in decisions] == [True, True, True, False]
    assert decisions[3].confidence > max(d.confidence for d in decisions[:3])


def test_where_geometry_is_unsure_the_description_decides() -> None:
    heart = Heart()
    between = of(heart, View.CH2, turn=30)
    stack = of(heart, View.SAX)
    nameless = decide_views([stack, between])[1]
    assert nameless.view is None
    assert "between" in (nameless.reason or "")
    for said, view in (("2CH", View.CH2), ("cine 3ch", View.CH3)):
        named = decide_views([stack, cine(between.normal, said)])[1]
        assert named.view is view
        assert named.confidence < 0.9


def test_a_heart_on_the_right_side_is_left_to_the_description() -> None:
    mirrored = Heart().axis * [-1, 1, 1]
    named, nameless = decide_views([cine(mirrored, "SAX", 10), cine(mirrored, "", 10)])
    assert (named.view, nameless.view) == (View.SAX, None)
    assert named.confidence < 0.7
    assert named.conflict is not None


@pytest.mark.parametrize(
    "text", ["SAX_LGE", "T1Map_SA", "perf_sax", "LOC_SA", "SAX_tag", "RV_SAX", "aortic valve SA cine"]
)
def test_an_excluding_description_is_never_overruled(text: str) -> None:
    decision = alone(of(Heart(), View.SAX, text))
    assert decision.view is None
    assert "by its description" in (decision.reason or "")


def test_a_real_time_stack_keeps_its_view_with_less_confidence() -> None:
    usual, real_time = decide_views([of(Heart(), View.SAX), of(Heart(), View.SAX, "SAX_realtime")])
    assert usual.view is real_time.view is View.SAX
    assert real_time.confidence < usual.confidence


def test_the_right_heart_2ch_is_told_by_where_it_passes() -> None:
    heart = Heart()
    centre = np.array([30.0, -40.0, 10.0])
    right = centre - 50.0 * heart.wall(0)
    planes = [
        cine(heart.normal(v), centres_mm=c[None])
        for v, c in ((View.CH4, centre), (View.CH2, centre), (View.CH2, right))
    ]
    four, left, other = decide_views(planes)
    assert (four.view, left.view, other.view) == (View.CH4, View.CH2, None)
    assert "right-heart" in (other.reason or "")
    named = decide_views([*planes[:2], cine(heart.normal(View.CH2), "2CH", centres_mm=right[None])])[2]
    assert named.view is View.CH2
    assert named.confidence < left.confidence
    assert named.conflict is not None


def test_without_geometry_the_description_decides_with_lower_confidence() -> None:
    named, nameless, excluded = decide_views(
        [Candidate("a", "4CH cine"), Candidate("b", ""), Candidate("c", "4CH LGE")]
    )
    assert named.view is View.CH4
    assert named.confidence < alone(of(Heart(), View.CH4, "4CH cine")).confidence
    assert nameless.view is None
    assert 'read_study(path, view="4CH")' in (nameless.reason or "")
    assert excluded.view is None
    assert "late enhancement" in (excluded.reason or "")


def test_the_protocol_name_stands_in_for_an_empty_description() -> None:
    assert alone(Candidate("a", "", hints={"ProtocolName": "cine_3ch"})).view is View.CH3
    heart_stack = cine(Heart().axis, n_planes=10, hints={"ProtocolName": "VIABILITY AND STRESS"})
    assert alone(heart_stack).view is View.SAX  # the name of a whole examination excludes nothing


def test_one_phase_is_no_cine() -> None:
    decision = alone(Candidate("a", "", normal=Heart().axis, n_planes=10, n_phases=1))
    assert decision.view is None
    assert "no time axis" in (decision.reason or "")


@pytest.mark.parametrize("normal", [np.zeros(3), np.full(3, np.nan), np.array([np.inf, 0, 0]), np.ones(2)])
def test_a_broken_normal_counts_as_no_geometry(normal: Array) -> None:
    decision = alone(Candidate("a", "SAX", normal=normal))
    assert decision.view is View.SAX
    assert any("no geometry" in line for line in decision.evidence)


def test_nothing_in_nothing_out() -> None:
    assert decide_views([]) == []


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(4)))
def test_the_order_of_series_means_nothing(order: list[int]) -> None:
    heart = Heart(roll_deg=6)
    planes = [of(heart, v, turn=5) for v in (View.SAX, *LONG)]
    straight = decide_views(planes)
    shuffled = decide_views([planes[i] for i in order])
    for place, i in enumerate(order):
        assert shuffled[place].view is straight[i].view
        assert shuffled[place].confidence == pytest.approx(straight[i].confidence, abs=0.002)
