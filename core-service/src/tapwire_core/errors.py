"""Errors of use cases: a machine `code`, a text that says what to do, and the ids to do it with.

Refusals that are an everyday answer (a card that may not pour) are values, not errors. Status codes exist only in
`tapwire_admin.responses.errors`.
"""

from typing import ClassVar


class DomainError(Exception):
    """A use case that can't be done; nothing was changed. `facts` are the ids and limits that the caller needs to act."""

    code: ClassVar[str]

    def __init__(self, text: str, **facts: object) -> None:
        super().__init__(text)
        self.facts = facts


class NotFound(DomainError):
    """There is nothing with this id."""

    code = "not_found"

    def __init__(self, noun: str, identifier: object) -> None:
        super().__init__(f"There is no {noun} {str(identifier)[:100]!r}.", noun=noun, id=str(identifier)[:100])


class Invalid(DomainError):
    """The input is invalid in any state."""

    code = "invalid"


class Refused(DomainError):
    """A rule, or a conflict with how things are now."""

    code = "refused"


class NotMigrated(DomainError):
    """The database's schema is not the one that this version works with."""

    code = "not_migrated"
