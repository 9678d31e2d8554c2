"""The `[hardware]` table of tap.toml, one kind for each driver."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Pin = Annotated[int, Meta(ge=0, le=64, description="BCM number")]


class Mfrc522Wiring(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An MFRC522 on SPI."""

    reader_reset_pin: Pin = 25
    reader_spi_bus: Annotated[int, Meta(ge=0, le=6)] = 0
    reader_spi_device: Annotated[int, Meta(ge=0, le=2)] = 0
    reader_poll_ms: Annotated[int, Meta(ge=10, le=400)] = 50
    """Between two looks for a card; a look without a card takes some 30 ms, most of which the chip alone works."""
    reader_retry_ms: Annotated[int, Meta(ge=10, le=60_000)] = 1_000
    """Between two tries to open a chip that does not answer."""
    reader_hang_ms: Annotated[int, Meta(ge=100, le=60_000)] = 3_000
    """A look that has not come back for this long is given up, and the chip is opened anew."""


class GpioHardware(Mfrc522Wiring, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="driver", tag="gpio"):
    """A tap on real pins. The valve is closed when its pin is not driven; the reader hangs on SPI."""

    valve_pin: Pin
    meter_pin: Pin
    valve_active_high: bool = True
    meter_pull_up: bool = True
    reader: Literal["mfrc522"] = "mfrc522"


class Mfrc522Hardware(Mfrc522Wiring, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="driver", tag="mfrc522"):
    """A desk reader on a Pi's SPI, without a valve."""


class PcscHardware(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="driver", tag="pcsc"):
    """A desk reader on USB, as the system's PC/SC service offers it (`pcscd`)."""

    reader_name: str = ""
    """Part of its name, where there are several; the first one otherwise."""
    reader_poll_ms: Annotated[int, Meta(ge=10, le=400)] = 200
    reader_retry_ms: Annotated[int, Meta(ge=10, le=60_000)] = 1_000
    """Between two tries to find a reader that is not there."""
    reader_hang_ms: Annotated[int, Meta(ge=100, le=60_000)] = 5_000
    """A look that has not come back for this long is given up, and the reader is opened anew."""


class SimulatedHardware(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="driver", tag="simulated"):
    """A tap in software: mock pins, a reader that is scripted, and beer that flows while the valve's pin is driven."""

    flow_ml_per_s: Annotated[int, Meta(ge=0, le=1_000)] = 60
    pulses_per_liter: Annotated[int, Meta(ge=1, le=1_000_000)] = 450
    """What the simulated meter gives; not what the config says that it gives."""
    closing_ms: Annotated[int, Meta(ge=0, le=60_000)] = 40
    """How long it still flows after the valve's pin went low."""
    scenario: str | None = None
    """A TOML file with the guests who come; without it nobody does."""
    simulator: str | None = None
    """The Unix socket of a simulator process (`python -m tapwire_node.simulator`), which then has the beer, the reader and the
    guests, and outlives this node; without it they are in the node's own process."""


TapHardware = SimulatedHardware | GpioHardware
"""What a tap can be made of."""
DeskHardware = SimulatedHardware | Mfrc522Hardware | PcscHardware
"""What a desk reader can be made of."""
