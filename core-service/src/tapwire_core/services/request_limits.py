"""Largest amounts, volumes and lengths in one request; the API's documentation shows them too."""

from typing import Final

MAX_AMOUNT_MINOR: Final = 100_000_000
"""Limit of one booking of money, in minor units: a million of the currency."""
MAX_PRICE_MINOR: Final = 10_000_000
"""Limit of a price per litre, in minor units."""
MAX_VOLUME_ML: Final = 10_000_000
"""Limit of a keg, and of one booking of stock: ten cubic metres."""
MAX_POUR_ML: Final = 100_000
"""Limit of a tap's `max_pour_ml`."""
MAX_PULSES_PER_LITER: Final = 1_000_000
MAX_CLEANING_INTERVAL_DAYS: Final = 366
MAX_GLASS_ML: Final = 10_000
MAX_VISIT_HOURS: Final = 8_760
"""Limit of a venue's `visit_hours`: a year."""
MAX_MORE_HOURS: Final = 24
"""Limit of one extension of a visit."""
MAX_BEVERAGES_OF_RULE: Final = 200
"""Limit of the beverages that one price rule names."""

MAX_KEG_LOW_MINUTES: Final = 1_440
"""Limit of the minutes before a keg is empty in which it is low: a day."""
MAX_KEGS: Final = 200
"""Limit of the kegs of one delivery."""
MAX_CARDS: Final = 1_000
"""Limit of the cards that one request registers."""

MAX_NAME_LENGTH: Final = 200
MAX_REASON_LENGTH: Final = 500
MAX_COMMENT_LENGTH: Final = 2_000
MAX_PHONE_LENGTH: Final = 40
MIN_PASSWORD_LENGTH: Final = 8
MAX_PASSWORD_LENGTH: Final = 200
