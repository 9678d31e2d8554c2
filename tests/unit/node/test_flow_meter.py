"""Counting pulses on the threads of the pin library."""

import time
from collections.abc import Iterator
from threading import Lock, Thread

import pytest
from gpiozero import DigitalInputDevice
from gpiozero.pins.mock import MockFactory, MockPin

from tapwire_node.hardware.flow_meter import FlowMeter

METER_PIN = 27
MS = 0.001


class Wheel:
    """A meter's wheel on a mock pin: one pulse is up and down, whoever turns it."""

    def __init__(self) -> None:
        factory = MockFactory()
        self.meter = FlowMeter(DigitalInputDevice(METER_PIN, pin_factory=factory))
        self._pin: MockPin = factory.pin(METER_PIN)
        self._turning = Lock()

    def turn(self, pulses: int, each_s: float = 0.0) -> None:
        due_s = time.monotonic()
        for _ in range(pulses):
            with self._turning:
                self._pin.drive_high()
                self._pin.drive_low()
                self._pin.clear_states()
            due_s += each_s
            time.sleep(max(0.0, due_s - time.monotonic()))


@pytest.fixture
def wheel() -> Iterator[Wheel]:
    wheel = Wheel()
    yield wheel
    wheel.meter.end()


def test_no_pulse_is_lost_at_a_kilohertz_from_another_thread_while_the_count_is_read(wheel: Wheel) -> None:
    turning = Thread(target=wheel.turn, args=(1_500, MS))
    turning.start()
    seen = [0]
    while turning.is_alive():
        seen.append(wheel.meter.pulses)
    turning.join()

    assert wheel.meter.pulses == 1_500
    assert seen == sorted(seen)


def test_no_pulse_is_lost_when_several_threads_call(wheel: Wheel) -> None:
    turning = [Thread(target=wheel.turn, args=(2_000,)) for _ in range(4)]
    for thread in turning:
        thread.start()
    for thread in turning:
        thread.join()

    assert wheel.meter.pulses == 8_000
