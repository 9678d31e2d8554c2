"""CSV for spreadsheets (RFC 4180), in which no name can act as a formula."""

import csv
import io
from collections.abc import Iterable
from typing import Any, Final

from litestar import Request, Response

CSV: Final = "text/csv"
JSON: Final = "application/json"
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Characters that start a formula in a spreadsheet; such a text gets an apostrophe before it."""

Cell = str | int | None


def wants_csv(request: Request[Any, Any, Any]) -> bool:
    """True if the caller prefers CSV to JSON."""
    return request.accept.best_match([JSON, CSV], default=JSON) == CSV


def answer_csv(header: Iterable[str], rows: Iterable[Iterable[Cell]]) -> Response[str]:
    """A table as CSV."""
    return Response(write_csv(header, rows), media_type=CSV)


def write_csv(header: Iterable[str], rows: Iterable[Iterable[Cell]]) -> str:
    """A table as text; None becomes an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_safe(cell) for cell in row] for row in rows)
    return text.getvalue()


def _safe(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
