"""The demo's story for people, told from the broker's messages alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar
from uuid import UUID

from tapwire_contracts.codec import Malformed, decode, decode_from_device
from tapwire_contracts.denials import denial_text
from tapwire_contracts.messages import (
    COMMAND,
    CONFIG,
    CardPresented,
    CardRemoved,
    Message,
    NodeState,
    PourAuthorized,
    PourCompleted,
    PourDenied,
    PourProgress,
    PourSettled,
    PourUnknown,
    ReaderCardPresented,
    ReportPour,
    StopPour,
    TapConfig,
    UnattributedFlow,
)
from tapwire_contracts.reasons import ConfigStatus, DenyReason, EndReason, Locale, Presence, VerdictStatus
from tapwire_contracts.topics import ROOT, DevicePath, InvalidTopic, parse_device_topic
from tapwire_core.domain.money import charge
from tapwire_demo.money_format import amount

V = TypeVar("V")

TOLD_EACH_ML: Final = 100
"""Progress is told when so much more has flowed."""
REMEMBERED: Final = 500
"""Questions, pours and so on whose repetitions are recognised, of each kind."""

END_REASONS: Final[Mapping[EndReason, str]] = {
    EndReason.CARD_REMOVED: "the card was taken off",
    EndReason.LIMIT: "the grant is used up",
    EndReason.NO_FLOW: "nothing flowed any more",
    EndReason.MAX_DURATION: "it took too long",
    EndReason.STOPPED: "it was stopped",
    EndReason.DISABLED: "the tap was taken out of service",
    EndReason.POWER_LOSS: "the power was lost",
    EndReason.NEVER_STARTED: "the valve never opened",
    EndReason.FAULT: "the tap has a fault",
}


class Mood(StrEnum):
    """Moods of a line."""

    PLAIN = "plain"
    QUIET = "quiet"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story; `tap` is the tap's id, or empty for what concerns all."""

    tap: str
    text: str
    mood: Mood = Mood.PLAIN


@dataclass(slots=True)
class Tally:
    """The state of the story."""

    grants: int = 0
    denials: dict[str, int] = field(default_factory=dict)
    settled: int = 0
    volume_ml: int = 0
    amount_minor: int = 0


@dataclass(slots=True)
class TapNow:
    """A tap as its messages show it."""

    name: str
    online: bool = False
    phase: str = ""
    beverage: str = ""
    price_rule: str | None = None
    guest: str = ""
    volume_ml: int = 0
    max_volume_ml: int = 0


@dataclass(slots=True)
class _Pour:
    """A grant that was told."""

    card_uid: str
    told_ml: int = 0
    reported: bool = False
    settled: bool = False


class Story:
    """The story so far. `names` are first names by card, `taps` the names of taps by path.

    `at_limit`: cards that were refused at the serving limit, until staff have looked.
    """

    def __init__(self, names: Mapping[str, str], taps: Mapping[DevicePath, str]) -> None:
        self.tally = Tally()
        self.taps = {path: TapNow(name) for path, name in taps.items()}
        self.cores: set[str] = set()
        self.at_limit: set[str] = set()
        self._names = names
        self._questions: dict[UUID, str] = {}
        self._pours: dict[UUID, _Pour] = {}
        self._told_once: dict[UUID, bool] = {}

    def hear(self, topic: str, payload: bytes) -> list[Line]:
        """Tell one message."""
        if topic.startswith(f"{ROOT}/core/"):
            return list(self._core(topic, present=bool(payload)))
        if not payload:  # a retained message is taken back
            return []
        try:
            path, message = _read(topic, payload)
        except (Malformed, InvalidTopic) as error:
            return [Line("", f"unreadable on {topic}: {error}", Mood.BAD)]
        tap = self.taps.setdefault(path, TapNow(path.device_id))
        return [Line(path.device_id, text, mood) for text, mood in self._told(tap, message)]

    def _core(self, topic: str, *, present: bool) -> Iterator[Line]:
        instance_id = topic.split("/")[-2]
        if present and instance_id not in self.cores:
            self.cores.add(instance_id)
            yield Line("", f"{instance_id} is there", Mood.QUIET)
        if not present and instance_id in self.cores:
            self.cores.remove(instance_id)
            yield Line("", f"{instance_id} has gone", Mood.QUIET)

    def _told(self, tap: TapNow, message: Message) -> Iterator[tuple[str, Mood]]:
        match message:
            case CardPresented() | ReaderCardPresented():
                yield from self._asked(tap, message)
            case PourAuthorized():
                yield from self._granted(tap, message)
            case PourDenied():
                yield from self._denied(message)
            case PourProgress():
                yield from self._poured(tap, message)
            case PourCompleted():
                yield from self._reported(tap, message)
            case PourSettled():
                yield from self._settled(tap, message)
            case NodeState():
                yield from _node(tap, message)
            case TapConfig():
                yield from _config(tap, message)
            case UnattributedFlow():
                if self._is_new(message.event_id):
                    yield f"{message.volume_ml} ml flowed without a grant: {message.cause.value}", Mood.BAD
            case StopPour():
                yield f"the core ends the pour: {message.reason}", Mood.BAD
            case ReportPour():
                yield "the core asks what became of a pour", Mood.QUIET
            case PourUnknown():
                yield "the journal that knew this pour is lost", Mood.BAD
            case CardRemoved():
                tap.guest = ""
            case _:
                return

    def _asked(self, tap: TapNow, question: CardPresented | ReaderCardPresented) -> Iterator[tuple[str, Mood]]:
        tap.guest, tap.volume_ml, tap.max_volume_ml = self._name(question.card_uid), 0, 0
        if question.event_id not in self._questions:
            _remember(self._questions, question.event_id, question.card_uid)
            yield f"{self._card(question.card_uid)} is laid on", Mood.PLAIN

    def _granted(self, tap: TapNow, grant: PourAuthorized) -> Iterator[tuple[str, Mood]]:
        tap.max_volume_ml = grant.max_volume_ml
        if grant.pour_id in self._pours:
            return
        _remember(self._pours, grant.pour_id, _Pour(grant.card_uid))
        self.tally.grants += 1
        shown = grant.display
        text = f"granted: up to {grant.max_volume_ml} ml"
        if shown.beverage is not None:
            text += f" of {shown.beverage.name}"
        if shown.sell_price_per_liter_minor is not None and shown.balance_minor is not None:
            hold_minor = charge(grant.max_volume_ml, shown.sell_price_per_liter_minor)
            text += f" (hold {amount(hold_minor)} of {amount(shown.balance_minor)})"
        yield text, Mood.PLAIN

    def _denied(self, denial: PourDenied) -> Iterator[tuple[str, Mood]]:
        if not self._is_new(denial.request_id):
            return
        card_uid = self._questions.get(denial.request_id)
        if denial.reason == DenyReason.SERVING_LIMIT_REACHED and card_uid:
            self.at_limit.add(card_uid)
        self.tally.denials[denial.reason] = self.tally.denials.get(denial.reason, 0) + 1
        whom = f"{self._card(card_uid)}: " if card_uid else ""
        yield f"DENIED  {whom}{denial.reason}", Mood.BAD
        if denial.reason == DenyReason.INSUFFICIENT_FUNDS:
            for locale in Locale:
                yield f"to the staff: {denial_text(DenyReason.INSUFFICIENT_FUNDS, locale)}", Mood.BAD

    def _poured(self, tap: TapNow, progress: PourProgress) -> Iterator[tuple[str, Mood]]:
        tap.volume_ml = progress.volume_ml
        pour = self._pours.get(progress.pour_id)
        if pour is not None and progress.volume_ml >= pour.told_ml + TOLD_EACH_ML:
            pour.told_ml = progress.volume_ml // TOLD_EACH_ML * TOLD_EACH_ML
            yield f"… {progress.volume_ml} ml", Mood.QUIET

    def _reported(self, tap: TapNow, report: PourCompleted) -> Iterator[tuple[str, Mood]]:
        tap.volume_ml = report.volume_ml
        pour = self._pours.get(report.pour_id)
        if pour is None or not pour.reported:
            yield f"poured {report.volume_ml} ml: {END_REASONS[report.end_reason]}", Mood.PLAIN
        elif not pour.settled:
            yield "reports this pour again", Mood.QUIET
        if pour is not None:
            pour.reported = True

    def _settled(self, tap: TapNow, verdict: PourSettled) -> Iterator[tuple[str, Mood]]:
        pour = self._pours.get(verdict.pour_id)
        if pour is not None and pour.settled:
            return
        _remember(self._pours, verdict.pour_id, _Pour(pour.card_uid if pour else "", reported=True, settled=True))
        whose = f"{self._name(pour.card_uid)}'s " if pour else ""
        tap.max_volume_ml = 0
        if verdict.status != VerdictStatus.ACCEPTED:
            yield f"{verdict.status}: {verdict.outcome}, {verdict.volume_ml} ml", Mood.BAD
            return
        self.tally.settled += verdict.volume_ml > 0
        self.tally.volume_ml += verdict.volume_ml
        self.tally.amount_minor += verdict.amount_minor
        balance = "" if verdict.balance_minor is None else f", {whose}balance {amount(verdict.balance_minor)}"
        yield f"settled {verdict.volume_ml} ml, {amount(verdict.amount_minor)} {verdict.currency}{balance}", Mood.GOOD

    def _is_new(self, message_id: UUID) -> bool:
        is_new = message_id not in self._told_once
        _remember(self._told_once, message_id, True)
        return is_new

    def _name(self, card_uid: str) -> str:
        return self._names.get(card_uid, card_uid)

    def _card(self, card_uid: str) -> str:
        return f"{self._names[card_uid]}'s card" if card_uid in self._names else f"card {card_uid}"


def _node(tap: TapNow, state: NodeState) -> Iterator[tuple[str, Mood]]:
    online = state.status is Presence.ONLINE
    tap.phase = state.phase.value if online else ""
    if online is not tap.online:
        tap.online = online
        yield ("the tap is there" if online else "the tap has gone"), Mood.QUIET


def _config(tap: TapNow, config: TapConfig) -> Iterator[tuple[str, Mood]]:
    tap.beverage = config.beverage.name if config.beverage else ""
    rule, began = config.price_rule, config.price_rule is not None and tap.price_rule is None
    tap.price_rule = rule.name if rule else None
    if rule is not None and began and config.sell_price_per_liter_minor is not None:
        until = f" until {rule.until:%H:%M}" if rule.until else ""
        yield f"{rule.name}{until}: {amount(config.sell_price_per_liter_minor)} a litre", Mood.PLAIN
    if config.status != ConfigStatus.ACTIVE:
        yield f"the tap is out of service: {config.status}", Mood.BAD


def _read(topic: str, payload: bytes) -> tuple[DevicePath, Message]:
    """A message on a device's topic, whoever sent it; raises `Malformed` or `InvalidTopic`."""
    path, leaf = parse_device_topic(topic)
    for route in (COMMAND, CONFIG):
        if leaf == route.leaf:
            return path, decode(route, payload)
    return decode_from_device(topic, payload)


def _remember(memory: dict[UUID, V], key: UUID, value: V) -> None:
    memory[key] = value
    while len(memory) > REMEMBERED:
        del memory[next(iter(memory))]
