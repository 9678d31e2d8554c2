"""The venues of which an operator sees things."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self


@dataclass(frozen=True, slots=True)
class VenueScope:
    """Some venues, by id; `venue_ids` None: all venues, and what belongs to none."""

    venue_ids: frozenset[str] | None

    @classmethod
    def of(cls, venue_ids: Collection[str] | None) -> Self:
        """The scope of an operator's `venues`."""
        return cls(None if venue_ids is None else frozenset(venue_ids))

    @property
    def is_all(self) -> bool:
        """True if nothing is hidden."""
        return self.venue_ids is None

    @property
    def only_venue_id(self) -> str | None:
        """The venue, if the scope is exactly one."""
        return next(iter(self.venue_ids)) if self.venue_ids is not None and len(self.venue_ids) == 1 else None

    def sees(self, venue_id: str | None) -> bool:
        """True if a thing of this venue may be seen; None: a thing that belongs to no venue."""
        return self.venue_ids is None or venue_id in self.venue_ids

    def sees_device(self, path: str) -> bool:
        """True if a device of this path may be seen."""
        return self.sees(path.partition("/")[0])


ALL_VENUES: Final = VenueScope(None)
