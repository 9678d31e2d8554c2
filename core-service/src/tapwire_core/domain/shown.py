"""Things that a page shows and its forms act on."""

from enum import StrEnum


class Noun(StrEnum):
    """Kinds of things that forms act on. A form sends the key and the values of the one that its page showed."""

    VENUE = "venue"
    VENUE_SETTINGS = "venue_settings"
    VOLUMES = "volumes"
    EMERGENCY_STOP = "emergency_stop"
    SHIFT = "shift"
    BEVERAGE = "beverage"
    PRICE_RULE = "price_rule"
    TAP = "tap"
    CARD = "card"
    VISIT = "visit"
    GUEST = "guest"
    BALANCE = "balance"
    KEG = "keg"
    KEG_DELIVERY = "keg_delivery"
    INCIDENT = "incident"
    USER = "user"
    DEVICE = "device"
    WEBHOOK = "webhook"
