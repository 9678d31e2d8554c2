"""A broker that promises nothing: it loses messages, repeats them, delays them, and lets one overtake another."""

from random import Random
from typing import Final

from tests.simulation.fault_rates import Weather
from tests.simulation.virtual import Action, Clock

PROMPT_MS: Final = (1, 40)
SLOW_MS: Final = (500, 9_000)


class Bus:
    """Carries deliveries, each with its own luck."""

    def __init__(self, clock: Clock, random: Random, weather: Weather) -> None:
        self.weather = weather
        self._clock = clock
        self._random = random

    def carry(self, deliver: Action) -> None:
        """Deliver something: never, once or twice, now or much later."""
        if self._random.random() < self.weather.loss:
            return
        self._clock.after(self._latency_ms(), deliver)
        if self._random.random() < self.weather.repeat:
            self._clock.after(self._latency_ms(), deliver)

    def _latency_ms(self) -> int:
        is_slow = self._random.random() < self.weather.delay
        return self._random.randint(*(SLOW_MS if is_slow else PROMPT_MS))
