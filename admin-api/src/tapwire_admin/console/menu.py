"""The console's menu: one row an entry, shown beside each page and, on narrow screens, by the page "More"."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from tapwire_admin.console.libraries import Icon
from tapwire_admin.console.translations import N_
from tapwire_core.domain.closed_sets import Role


class Shown(StrEnum):
    """Where an entry stands; the value is its class in `console.css`."""

    ALWAYS = "always"
    WIDE_ONLY = "wide-only"
    """In the menu of wide windows. In narrow ones the page "More" has it."""
    NARROW_ONLY = "narrow-menu"


class SeesMenu(Protocol):
    """A viewer, as far as the menu asks."""

    @property
    def has_all_venues(self) -> bool:
        """True for an operator of all venues."""
        ...

    @property
    def has_several_venues(self) -> bool:
        """True for an operator of more venues than one."""
        ...

    @property
    def takes_payments(self) -> bool:
        """True where guests may pay by telephone."""
        ...

    def may(self, role: str) -> bool:
        """True for an operator of this role."""
        ...


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """A link to a page. `role`: the least that sees it; `starts_group`: a line stands above it.

    `of_installation`: for operators of all venues alone; `of_several`: for those of more venues than one. `of_payments`: where
    guests may pay by telephone.
    """

    path: str
    icon: Icon
    label: str
    shown: Shown = Shown.WIDE_ONLY
    role: Role = Role.OPERATOR
    starts_group: bool = False
    counts_incidents: bool = False
    of_installation: bool = False
    of_several: bool = False
    of_payments: bool = False

    def is_for(self, viewer: "SeesMenu") -> bool:
        """True if the viewer may open the page."""
        is_theirs = viewer.has_all_venues or not self.of_installation
        is_used = viewer.takes_payments or not self.of_payments
        return viewer.may(self.role) and is_theirs and is_used and (viewer.has_several_venues or not self.of_several)

    @property
    def is_in_more(self) -> bool:
        """True for an entry of the page "More"."""
        return self.shown is Shown.WIDE_ONLY


MENU: Final = (
    MenuEntry("/", Icon("beer"), N_("Taps"), Shown.ALWAYS),
    MenuEntry("/wall", Icon("layout-grid"), N_("Tap wall")),
    MenuEntry("/check-in", Icon("nfc"), N_("Check in"), Shown.ALWAYS),
    MenuEntry("/check-out", Icon("wallet"), N_("Check out"), Shown.ALWAYS),
    MenuEntry("/visits", Icon("door-open"), N_("Visits"), Shown.ALWAYS),
    MenuEntry("/attention", Icon("triangle-alert"), N_("Attention"), Shown.ALWAYS, counts_incidents=True),
    MenuEntry("/shift", Icon("clock"), N_("Shift")),
    MenuEntry("/all-venues", Icon("store"), N_("All venues"), of_several=True),
    MenuEntry("/guests", Icon("users"), N_("Guests"), starts_group=True),
    MenuEntry("/cards", Icon("credit-card"), N_("Cards")),
    MenuEntry("/payments", Icon("smartphone"), N_("Payments by telephone"), of_payments=True),
    MenuEntry("/stock", Icon("barrel"), N_("Kegs & beverages")),
    MenuEntry("/prices", Icon("calendar-clock"), N_("Prices")),
    MenuEntry("/reports", Icon("chart-column"), N_("Reports")),
    MenuEntry("/audit", Icon("history"), N_("Audit log")),
    MenuEntry("/devices", Icon("router"), N_("Devices"), role=Role.ENGINEER, starts_group=True),
    MenuEntry("/webhooks", Icon("webhook"), N_("Webhooks"), role=Role.ENGINEER, of_installation=True),
    MenuEntry("/users", Icon("user-cog"), N_("Users"), role=Role.ENGINEER, of_installation=True),
    MenuEntry("/set-up", Icon("plus"), N_("Set-up"), role=Role.ENGINEER),
    MenuEntry("/me", Icon("settings"), N_("Settings")),
    MenuEntry("/more", Icon("ellipsis"), N_("More"), Shown.NARROW_ONLY),
)
