"""Closing the valve after a kill -9, on mock pins in the state that the killed process left."""

from collections.abc import Iterator

import msgspec
import pytest
from gpiozero import Device, OutputDevice
from gpiozero.pins.mock import MockFactory

from tapwire_node.commands.close_valve import ValveNotOurs, close_valve
from tapwire_node.settings import Settings

VALVE_PIN = 17


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockFactory]:
    factory = MockFactory()
    monkeypatch.setattr(Device, "pin_factory", factory)
    yield factory
    factory.reset()


def tap(*, active_high: bool = True) -> Settings:
    return msgspec.convert(
        {
            "tap": {"path": "bar/taps/left"},
            "broker": {"url": "mqtt://nowhere"},
            "journal": {"file": "/nowhere/journal.sqlite"},
            "hardware": {"driver": "gpio", "valve_pin": VALVE_PIN, "meter_pin": 27, "valve_active_high": active_high},
        },
        Settings,
    )


@pytest.mark.parametrize("active_high", [True, False])
def test_a_pin_that_was_left_driven_is_driven_to_closed_and_released(factory: MockFactory, active_high: bool) -> None:
    pin = factory.pin(VALVE_PIN)
    pin.function, pin.state = "output", active_high
    pin.clear_states()

    said = close_valve(tap(active_high=active_high))

    assert bool(pin.states[-1].state) is not active_high
    assert pin.function == "input"
    assert str(VALVE_PIN) in said


def test_a_pin_that_another_program_has_is_refused_with_a_reason(factory: MockFactory) -> None:
    with OutputDevice(VALVE_PIN), pytest.raises(ValveNotOurs, match="While the node runs"):
        close_valve(tap())


@pytest.mark.parametrize("driver", ["pcsc", "mfrc522", "simulated"])
def test_closing_the_valve_of_a_desk_reader_succeeds_without_a_valve(driver: str) -> None:
    desk = {"tap": {"path": "bar/readers/desk"}, "broker": {"url": "mqtt://nowhere"}, "hardware": {"driver": driver}}
    assert close_valve(msgspec.convert(desk, Settings)) == "bar/readers/desk is a desk reader and has no valve"
