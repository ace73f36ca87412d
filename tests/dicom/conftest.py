"""A view decision that needs no heart: three planes or more are SAX, else what the description says."""

import pytest

from cardiolens.study import View


@pytest.fixture
def plain_views(monkeypatch):
    """Replace the view decision, so that reading is tested apart from it."""
    from cardiolens.dicom import choose
    from cardiolens.dicom.views import ViewDecision

    def classify(text):
        return next((view for view in View if view.value in text.upper()), None)

    def decide(candidates):
        views = [classify(c.description) or (View.SAX if c.n_planes > 2 else None) for c in candidates]
        return [ViewDecision(v, 0.9 if v else 0.5, ("stub",), None, None if v else "stub: no view") for v in views]

    monkeypatch.setattr(choose, "classify_description", classify)
    monkeypatch.setattr(choose, "decide_views", decide)
