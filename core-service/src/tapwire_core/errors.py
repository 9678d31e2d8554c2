"""Errors of use cases: a machine `code`, a text that says what to do, and the ids that this needs.

Everyday refusals (a card that may not pour) are values, not errors. Status codes exist only in
`tapwire_admin.responses.errors`.
"""

from typing import ClassVar


class DomainError(Exception):
    """A failed use case; nothing was changed. `facts` are the ids and limits that the caller needs to act."""

    code: ClassVar[str]

    def __init__(self, text: str, **facts: object) -> None:
        super().__init__(text)
        self.facts = facts


class NotFound(DomainError):
    """Nothing has this id."""

    code = "not_found"

    def __init__(self, noun: str, identifier: object) -> None:
        super().__init__(f"There is no {noun} {str(identifier)[:100]!r}.", noun=noun, id=str(identifier)[:100])


class Invalid(DomainError):
    """The input is invalid in any state."""

    code = "invalid"


class ReasonRequired(Invalid):
    """The change needs a reason."""

    code = "reason_required"


class Refused(DomainError):
    """A refusal by a rule, or a conflict with the current state."""

    code = "refused"


class RoleRequired(Refused):
    """This much takes a higher role."""

    code = "role_required"


class AllVenuesRequired(DomainError):
    """This belongs to the whole installation, and the operator has some venues only."""

    code = "all_venues_required"


class NotMigrated(DomainError):
    """The database's schema is not this version's."""

    code = "not_migrated"
