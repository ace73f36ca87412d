"""`cardiolens.style` by its former name."""

from cardiolens.style import BLUE, INK, PAGE_CSS, STYLE

__all__ = ["BLUE", "INK", "PAGE_CSS", "STYLE"]
