"""The console's templates stay readable."""

import re
from typing import Final

from tapwire_admin.console.libraries import ICONS
from tapwire_admin.console.render import TEMPLATES

LONGEST_LINE: Final = 140
ICON_CALL: Final = re.compile(r"\bicon\((.*?)\)")
FROM_TABLES: Final = {"entry.icon", "icon_of(entry.action"}
"""Icons that tables in Python name."""


def test_no_line_of_a_template_is_too_long_to_read() -> None:
    lines = {
        f"{file.relative_to(TEMPLATES)}:{number}": len(line)
        for file in TEMPLATES.rglob("*.html")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
    }

    assert lines
    assert [place for place, length in lines.items() if length > LONGEST_LINE] == []


def test_no_template_computes_an_icons_name_where_the_build_can_not_find_it() -> None:
    named = {call for file in TEMPLATES.rglob("*.html") for call in ICON_CALL.findall(file.read_text(encoding="utf-8"))}

    assert named >= FROM_TABLES
    assert named - FROM_TABLES - {f'"{icon}"' for icon in ICONS} == set()
