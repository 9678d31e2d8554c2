"""Reports of a run: progress and a table for people, JUnit XML and JSON for machines."""

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final
from xml.etree import ElementTree

from tapwire_conformance import SOFTWARE
from tapwire_conformance.rules import Rule
from tapwire_conformance.runner import Outcome, Result

WIDTH: Final = 120
MESSAGES_SHOWN: Final = 12
"""The last messages of a broken rule that the terminal shows; the files have all."""
_MARKS: Final = {Outcome.KEPT: "ok", Outcome.BROKEN: "NO", Outcome.NOT_TRIED: "--"}
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def progress(result: Result) -> str:
    """One line about a rule that was just tried; of a broken one what happened, and the last messages."""
    line = f"{_MARKS[result.outcome]}  {result.rule_id:10} {result.duration_s:6.1f} s  {result.text}"
    if result.outcome is Outcome.KEPT:
        return line
    more = textwrap.indent(result.detail, "    ")
    if result.outcome is Outcome.NOT_TRIED:
        return f"{line}\n{more}"
    shown = [f"      {message}" for message in result.messages[-MESSAGES_SHOWN:]]
    return "\n".join([line, more, f"    {result.place}", *shown])


def table(results: Sequence[Result]) -> Iterator[str]:
    """The closing table, and one line with the sums."""
    yield f"{'rule':10} {'level':6} {'verdict':10} place"
    for result in results:
        yield f"{result.rule_id:10} {result.level.value:6} {result.outcome.value:10} {result.place}"
    counts = {outcome: sum(result.outcome is outcome for result in results) for outcome in Outcome}
    fatal = sum(result.is_fatal for result in results)
    yield ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items()) + f"; {fatal} MUST broken"


def listing(rules: Iterable[Rule[Any]]) -> Iterator[str]:
    """Each rule with its level, place and text."""
    for rule in rules:
        yield f"{rule.rule_id:10} {rule.level.value:6} {rule.place}"
        yield textwrap.indent(textwrap.fill(rule.text, WIDTH - 11), " " * 11)


def as_json(side: str, results: Sequence[Result]) -> str:
    """The run as JSON, with all messages."""
    content = {"software": SOFTWARE, "side": side, "results": [asdict(result) for result in results]}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def as_junit(side: str, results: Sequence[Result]) -> str:
    """The run as JUnit XML: a broken rule is a failure, one that was not tried is skipped."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"tapwire-conformance {side}",
        tests=str(len(results)),
        failures=str(sum(result.outcome is Outcome.BROKEN for result in results)),
        skipped=str(sum(result.outcome is Outcome.NOT_TRIED for result in results)),
        time=f"{sum(result.duration_s for result in results):.3f}",
    )
    for result in results:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{side}.{result.level.value}", name=f"{result.rule_id} {result.text}",
            time=f"{result.duration_s:.3f}",
        )  # fmt: skip
        if result.outcome is Outcome.BROKEN:
            failure = ElementTree.SubElement(case, "failure", message=_clean(result.detail), type=result.place)
            failure.text = _clean("\n".join(result.messages))
        elif result.outcome is Outcome.NOT_TRIED:
            ElementTree.SubElement(case, "skipped", message=_clean(result.detail))
        else:
            ElementTree.SubElement(case, "system-out").text = _clean("\n".join(result.messages))
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    return _NOT_XML.sub("�", text)
