"""The console's forms: what a template asks for is read as it was meant."""

import re

from tapwire_admin.console.forms import AS_TYPED
from tapwire_admin.console.render import TEMPLATES

ASKS_FOR_PASSWORD = re.compile(r'(?:name=|field\()"(\w+)"[^<>{}]*type="password"')


def test_every_password_that_a_form_asks_for_is_taken_as_it_is_typed() -> None:
    asked = {name for template in TEMPLATES.rglob("*.html") for name in ASKS_FOR_PASSWORD.findall(template.read_text())}

    assert asked == AS_TYPED
