"""What figures go with: a table of figures and covariates to associations, hazards, curves, and a page to read."""

from cardiolens.relations.run import (
    Associations,
    Survival,
    associate_table,
    survive_table,
    write_associations,
    write_survival,
)
from cardiolens.relations.table import Source, read_source

__all__ = [
    "Associations",
    "Source",
    "Survival",
    "associate_table",
    "read_source",
    "survive_table",
    "write_associations",
    "write_survival",
]
