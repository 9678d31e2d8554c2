"""One line of the doctor."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and how it is; where it is not well, `text` says what to do."""

    subject: str
    is_ok: bool
    text: str

    @classmethod
    def ok(cls, subject: str, text: str) -> Self:
        """Nothing to do."""
        return cls(subject, is_ok=True, text=text)

    @classmethod
    def problem(cls, subject: str, text: str) -> Self:
        """Something to do."""
        return cls(subject, is_ok=False, text=text)

    def line(self) -> str:
        """As it is printed."""
        return f"{'ok' if self.is_ok else 'DO':3} {self.subject:12} {self.text}"
