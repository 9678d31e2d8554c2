"""Disturbances that may happen at any moment, by name: each is posted to the controller and recorded in the safety model."""

from uuid import uuid4

from tapwire_contracts.messages import CardPresented
from tapwire_contracts.reasons import ConfigStatus
from tapwire_node.controller.effects import WriteGrant, WriteServiceRun
from tapwire_node.controller.events import (
    ConfigUnreadable,
    Connected,
    CoreGone,
    Disconnected,
    GrantReceived,
    HardwareFailed,
    HardwareRecovered,
    JournalFailed,
    JournalOpened,
    Part,
    ServiceRunHeld,
    ServiceRunStopped,
    ValveTripped,
)
from tests.unit.node.controller_bench import CARD, OTHER_CARD
from tests.unit.node.valve_safety_model import RACE_ML, TIMEOUT_MS, JudgedBench

DISTURBANCES = (
    "lay",
    "lay_another",
    "lift",
    "let_it_get_late",
    "break_valve",
    "break_reader",
    "mend_hardware",
    "trip",
    "slow_journal",
    "catch_up",
    "break_journal",
    "mend_journal",
    "grant_out_of_the_blue",
    "grant_again",
    "stop",
    "lock",
    "lock_with_an_old_config",
    "unlock",
    "unlock_with_an_old_config",
    "meet_a_core_of_another_contract",
    "lose_that_core",
    "lose_the_broker",
    "find_the_broker",
    "garble_the_config",
    "clean",
    "race_the_meter",
    "hold_the_run",
    "stop_the_run",
)


class Disturbances:
    """The names in `DISTURBANCES` as methods; they act on `tap`."""

    tap: JudgedBench
    revision: int

    def lay(self) -> None:
        self.tap.lay(CARD)

    def lay_another(self) -> None:
        self.tap.lay(OTHER_CARD)

    def lift(self) -> None:
        self.tap.lift()

    def let_it_get_late(self) -> None:
        self.tap.now_ms += TIMEOUT_MS + 1
        if self.tap.state.valve_open:
            self.tap.wait(20)

    def break_valve(self) -> None:
        self.tap.happen(HardwareFailed, part=Part.VALVE, text="broken")

    def break_reader(self) -> None:
        self.tap.happen(HardwareFailed, part=Part.READER, text="broken")
        self.tap.model.empty_since_ms = None

    def mend_hardware(self) -> None:
        for part in Part:
            self.tap.happen(HardwareRecovered, part=part)
        self.tap.lay(self.tap.model.on_reader) if self.tap.model.on_reader else self.tap.lift()

    def trip(self) -> None:
        if self.tap.state.valve_open:
            self.tap.happen(ValveTripped)

    def slow_journal(self) -> None:
        self.tap.journal_answers = False

    def catch_up(self) -> None:
        self.tap.journal_answers = True
        held, self.tap.held = self.tap.held, []
        for effect in held:
            if self.tap.model.journal_works:
                self.tap.answer(effect)

    def break_journal(self) -> None:
        self.tap.happen(JournalFailed, text="disk full")
        self.tap.held = [effect for effect in self.tap.held if not isinstance(effect, WriteGrant | WriteServiceRun)]

    def mend_journal(self) -> None:
        self.tap.happen(JournalOpened, recovered=self.tap.recovered())

    def grant_out_of_the_blue(self) -> None:
        stranger = CardPresented(
            event_id=uuid4(),
            card_uid=CARD,
            reader_id="tap",
            read_at="",
            boot_id=uuid4(),
            journal_id=uuid4(),
            seq=1,
            unsettled=(),
        )
        self.tap.happen(GrantReceived, grant=self.tap.grant_for(stranger))

    def grant_again(self) -> None:
        for grant in list(self.tap.model.grants.values())[-2:]:
            if grant.pour_id not in self.tap.model.on_disk:
                self.tap.happen(GrantReceived, grant=grant)

    def stop(self) -> None:
        for pour_id in list(self.tap.model.grants)[-1:]:
            if pour_id not in self.tap.model.on_disk or pour_id == self.tap.model.open_pour:
                self.tap.model.stopped.add(pour_id)
            self.tap.stop(pour_id)

    def lock(self) -> None:
        self.configure(ConfigStatus.LOCKED, 1)

    def lock_with_an_old_config(self) -> None:
        self.configure(ConfigStatus.EMERGENCY_STOP, -1)

    def unlock(self) -> None:
        self.configure(ConfigStatus.ACTIVE, 1)

    def unlock_with_an_old_config(self) -> None:
        self.configure(ConfigStatus.ACTIVE, -1)

    def configure(self, status: ConfigStatus, revisions: int) -> None:
        revision = max(0, self.revision + revisions)
        if status is not ConfigStatus.ACTIVE or revision >= self.revision:
            self.tap.model.readable, self.tap.model.status, self.revision = True, status, revision
        self.tap.config(status=status, revision=revision)

    def clean(self) -> None:
        self.configure(ConfigStatus.CLEANING, 1)

    def garble_the_config(self) -> None:
        self.tap.happen(ConfigUnreadable, text="status?")

    def race_the_meter(self) -> None:
        self.tap.model.last_excess_ms = self.tap.now_ms + 20
        self.tap.flow(RACE_ML)

    def hold_the_run(self) -> None:
        self.tap.happen(ServiceRunHeld)

    def stop_the_run(self) -> None:
        self.tap.happen(ServiceRunStopped)

    def meet_a_core_of_another_contract(self) -> None:
        self.tap.model.other_contract = True
        self.tap.core("core-2", contract_version="2.0")

    def lose_that_core(self) -> None:
        self.tap.model.other_contract = False
        self.tap.happen(CoreGone, instance_id="core-2")

    def lose_the_broker(self) -> None:
        self.tap.happen(Disconnected)

    def find_the_broker(self) -> None:
        self.tap.model.other_contract = False
        self.tap.happen(Connected)
