"""`python -m cardiolens` is `cardiolens`."""

from cardiolens.cli import main

main()
