"""The result of one check of the doctor."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; `text` says what to do unless it is ok."""

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
        """The finding as it is printed."""
        return f"{'ok' if self.is_ok else 'DO':3} {self.subject:12} {self.text}"
