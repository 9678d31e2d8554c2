"""CSV (RFC 4180), in which no text can act as a formula: for programs, and for a spreadsheet in the viewer's notation."""

import csv
import io
import re
from collections.abc import Iterable
from typing import Any, Final

from litestar import Request, Response

CSV: Final = "text/csv"
JSON: Final = "application/json"
BYTE_ORDER_MARK: Final = "\ufeff"
"""Spreadsheets take a file without it for one of their old encodings."""
_FORMULA: Final = re.compile(r"(^|[,;|\t\r\n\"])([\s\u200b-\u200f\ufeff]*)(?=[=+\-@\N{MINUS SIGN}＝＋－＠﹦﹢﹣﹫])")
"""The beginning of a formula: in a cell, or after a separator, since a file may be opened with another one than its own."""

Cell = str | int | None


class Amount(str):
    """A number as people of one language write it; it is no formula, also with a minus."""

    __slots__ = ()


def cell_of(value: object) -> Cell:
    """A field of a list's item as a cell."""
    return value if isinstance(value, int) else None if value is None else str(value)


def wants_csv(request: Request[Any, Any, Any]) -> bool:
    """True if the caller prefers CSV to JSON."""
    return request.accept.best_match([JSON, CSV], default=JSON) == CSV


def answer_csv(header: Iterable[str], rows: Iterable[Iterable[Cell]]) -> Response[str]:
    """A table as CSV for programs."""
    return Response(write_csv(header, rows), media_type=CSV)


def answer_spreadsheet(name: str, header: Iterable[str], rows: Iterable[Iterable[Cell]], decimal_mark: str) -> Response[str]:
    """A file for a spreadsheet: where the comma is the decimal mark, such programs expect semicolons between cells."""
    text = BYTE_ORDER_MARK + write_csv(header, rows, ";" if decimal_mark == "," else ",")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type=f"{CSV}; charset=utf-8", headers=headers)


def write_csv(header: Iterable[str], rows: Iterable[Iterable[Cell]], delimiter: str = ",") -> str:
    """A table as text; None becomes an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(header)
    writer.writerows([_safe(cell) for cell in row] for row in rows)
    return text.getvalue()


def _safe(cell: Cell) -> Cell:
    """A cell with an apostrophe before each beginning of a formula."""
    return _FORMULA.sub(r"\1\2'", cell) if isinstance(cell, str) and not isinstance(cell, Amount) else cell
