"""Write docs/reference/conditions.md from the data of the 35 conditions.

python examples/conditions_page.py --write
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cardiolens.text.definitions import page

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "conditions.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    text = page()
    if parser.parse_args().write:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
