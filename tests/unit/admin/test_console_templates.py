"""The console's templates stay readable."""

from typing import Final

from tapwire_admin.console.render import TEMPLATES

LONGEST_LINE: Final = 140


def test_no_line_of_a_template_is_too_long_to_read() -> None:
    lines = {
        f"{file.relative_to(TEMPLATES)}:{number}": len(line)
        for file in TEMPLATES.rglob("*.html")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
    }

    assert lines
    assert [place for place, length in lines.items() if length > LONGEST_LINE] == []
