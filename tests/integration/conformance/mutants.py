"""Mutants of our own code: a function whose source has one change, put in the place of the real one while a test lasts.

The function's code object is replaced, so that the change counts wherever the function was imported.
"""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change of a function's source."""

    function: Callable[..., Any]
    before: str
    after: str

    def apply(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the change until the test ends."""
        source = textwrap.dedent(inspect.getsource(self.function))
        assert source.count(self.before) == 1, f"{self.function.__qualname__} has {self.before!r} {source.count(self.before)} times"
        made: dict[str, Any] = dict(self.function.__globals__)
        exec(compile(source.replace(self.before, self.after), inspect.getfile(self.function), "exec"), made)
        monkeypatch.setattr(self.function, "__code__", made[self.function.__name__].__code__)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault, the rule that names it, and the changes that make it."""

    rule_id: str
    fault: str
    mutations: tuple[Mutation, ...]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.fault}"


def mutant(rule_id: str, fault: str, *changes: tuple[Callable[..., Any], str, str]) -> Mutant:
    """A fault by its changes."""
    return Mutant(rule_id, fault, tuple(Mutation(*change) for change in changes))
