"""The `[hardware]` table of tap.toml, one class for each driver."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Pin = Annotated[int, Meta(ge=0, le=64, description="BCM number")]


class Mfrc522Wiring(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An MFRC522 on SPI."""

    reader_reset_pin: Pin = 25
    reader_spi_bus: Annotated[int, Meta(ge=0, le=6)] = 0
    reader_spi_device: Annotated[int, Meta(ge=0, le=2)] = 0
    reader_poll_ms: Annotated[int, Meta(ge=10, le=400)] = 50
    """Pause between two looks for a card; a look without a card takes some 30 ms, mostly the chip's."""
    reader_retry_ms: Annotated[int, Meta(ge=10, le=60_000)] = 1_000
    """Pause between two tries to open a chip that does not answer."""
    reader_hang_ms: Annotated[int, Meta(ge=100, le=60_000)] = 3_000
    """A look that hangs for this long is abandoned, and the chip is opened again."""


class GpioHardware(Mfrc522Wiring, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="driver", tag="gpio"):
    """A tap on real pins. The valve is closed when its pin is not driven; the reader is connected to SPI."""

    valve_pin: Pin
    meter_pin: Pin
    valve_active_high: bool = True
    meter_pull_up: bool = True
    reader: Literal["mfrc522"] = "mfrc522"


class Mfrc522Hardware(Mfrc522Wiring, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="driver", tag="mfrc522"):
    """A desk reader on a Pi's SPI, without a valve."""


class PcscHardware(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="driver", tag="pcsc"):
    """A desk reader on USB, through the system's PC/SC service (`pcscd`)."""

    reader_name: str = ""
    """Part of the reader's name, where there are several; otherwise the first one is used."""
    reader_poll_ms: Annotated[int, Meta(ge=10, le=400)] = 200
    reader_retry_ms: Annotated[int, Meta(ge=10, le=60_000)] = 1_000
    """Pause between two tries to find a missing reader."""
    reader_hang_ms: Annotated[int, Meta(ge=100, le=60_000)] = 5_000
    """A look that hangs for this long is abandoned, and the reader is opened again."""


class SimulatedHardware(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="driver", tag="simulated"):
    """A simulated tap: mock pins, a scripted reader, and beer that flows while the valve's pin is driven."""

    flow_ml_per_s: Annotated[int, Meta(ge=0, le=1_000)] = 60
    pulses_per_liter: Annotated[int, Meta(ge=1, le=1_000_000)] = 450
    """The true factor of the simulated meter, which may differ from the config's."""
    closing_ms: Annotated[int, Meta(ge=0, le=60_000)] = 40
    """Flow continues for this long after the valve's pin went low."""
    scenario: str | None = None
    """A TOML file with the guests; without it none come."""
    simulator: str | None = None
    """The Unix socket of a simulator process (`python -m tapwire_node.simulator`), which then simulates the tap and the
    guests and outlives this node; without it the node's own process does."""


TapHardware = SimulatedHardware | GpioHardware
"""The hardware of a tap."""
DeskHardware = SimulatedHardware | Mfrc522Hardware | PcscHardware
"""The hardware of a desk reader."""
