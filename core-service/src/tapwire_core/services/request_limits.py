"""The largest amounts, volumes and lengths that one request may name; the API's documentation shows the same ones."""

from typing import Final

MAX_AMOUNT_MINOR: Final = 100_000_000
"""One booking of money, in minor units: a million of the currency."""
MAX_PRICE_MINOR: Final = 10_000_000
"""A price per litre, in minor units."""
MAX_VOLUME_ML: Final = 10_000_000
"""One keg, or one booking of stock: ten cubic metres."""
MAX_POUR_ML: Final = 100_000
"""A tap's `max_pour_ml`."""
MAX_PULSES_PER_LITER: Final = 1_000_000

MAX_NAME_LENGTH: Final = 200
MAX_REASON_LENGTH: Final = 500
MAX_COMMENT_LENGTH: Final = 2_000
MAX_PHONE_LENGTH: Final = 40
MIN_PASSWORD_LENGTH: Final = 8
MAX_PASSWORD_LENGTH: Final = 200
