"""What a log filter for Weir imports: one method for each line.

A filter is a class below `Select`, `Transform`, `Redact` or `Aggregate`, handed to `export`:

    Filter = weir.export(Errors)

Batches, offsets and the encoding of verdicts are the business of this package. An exception that a filter raises gives
up the line that it looks at; of a redact, that line is withheld. What it prints becomes its diagnostics.
"""

from .contract import export
from .filters import Aggregate, Line, Out, Redact, Select, Source, Transform
from .params import ParamError
from .regex import quote_regex

__all__ = [
    "Aggregate",
    "Line",
    "Out",
    "ParamError",
    "Redact",
    "Select",
    "Source",
    "Transform",
    "export",
    "quote_regex",
]
