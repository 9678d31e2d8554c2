"""Two nodes with one login: a cloned memory card. Neither gets a grant while both are there."""

from uuid import uuid4

from msgspec.structs import replace

from tapwire_contracts.messages import NodeState, PourDenied
from tapwire_contracts.reasons import DenyReason
from tapwire_core.db.views.taps import get_tap
from tapwire_core.services.identities import watch_identities
from tapwire_core.services.nodes import note_state
from tests.venue import SimulatedTap, Venue


class Clones:
    """Two nodes with one login, which throw each other off the broker; each connects with the newest config."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.connections = dict.fromkeys((venue.tap.boot_id, uuid4()), 0)
        self.boots = list(self.connections)

    async def state(self, number: int) -> NodeState:
        """What one of them says as it connects."""
        boot_id = self.boots[number]
        self.connections[boot_id] += 1
        revision = await self.venue.db.pool.fetchval(
            "SELECT config_revision FROM taps WHERE tap_path = $1", str(self.venue.tap.path)
        )
        state = self.venue.tap.state(connection=self.connections[boot_id])
        return replace(state, boot_id=boot_id, config_revision=revision)

    async def connect(self, *numbers: int) -> None:
        """They connect in this order."""
        for number in numbers:
            assert await note_state(self.venue.db, self.venue.tap.path, await self.state(number))


async def pass_time(venue: Venue, ms: int) -> None:
    """The database's time goes on."""
    await venue.db.pool.execute("UPDATE taps SET identity_conflict_at = identity_conflict_at - $1 * interval '1 ms'", ms)
    await venue.db.pool.execute(
        "UPDATE node_status SET claims = jsonb_set(claims, '{made_ms}', to_jsonb((claims->>'made_ms')::bigint - $1))"
        " WHERE claims IS NOT NULL",
        ms,
    )


async def test_two_boots_that_alternate_are_a_conflict_and_neither_gets_a_grant(venue: Venue) -> None:
    guest, clones = await venue.guest(balance_minor=5_000_00), Clones(venue)

    await clones.connect(0, 1, 0, 1, 0)

    (incident,) = await venue.incidents("identity_conflict")
    assert incident["tap_path"] == str(venue.tap.path)
    for boot_id in clones.boots:
        tap = SimulatedTap(venue.tap.path, boot_id=boot_id)
        denied = await venue.ask(tap.question(guest.card_uid))
        assert isinstance(denied, PourDenied)
        assert denied.reason == DenyReason.TAP_LOCKED
    shown = await get_tap(venue.db, str(venue.tap.path))
    assert shown is not None
    assert (shown.identity_conflict, shown.status) == (True, "locked")


async def test_the_conflict_lasts_while_both_are_there_and_ends_by_itself_when_one_stays_away(venue: Venue) -> None:
    guest, clones = await venue.guest(balance_minor=5_000_00), Clones(venue)
    wait_ms = venue.db.policy.identity_conflict_ms
    await clones.connect(0, 1, 0, 1, 0)

    for _ in range(6):
        await pass_time(venue, wait_ms // 2)
        await watch_identities(venue.db)
        await clones.connect(1, 0)
    assert len(await venue.incidents("identity_conflict")) == 1

    for _ in range(3):
        await pass_time(venue, wait_ms // 2)
        await watch_identities(venue.db)
        await clones.connect(0)
    assert await venue.incidents("identity_conflict") == []
    await venue.grant(guest)


async def test_a_restart_and_its_late_states_are_no_conflict(venue: Venue) -> None:
    clones = Clones(venue)
    late = [await clones.state(0) for _ in range(3)]

    for state in late[:1]:
        await note_state(venue.db, venue.tap.path, state)
    await clones.connect(1)
    await note_state(venue.db, venue.tap.path, late[1])
    await clones.connect(1)
    await note_state(venue.db, venue.tap.path, late[2])
    await clones.connect(1)

    assert await venue.incidents("identity_conflict") == []


async def test_a_check_of_which_nothing_came_ends(venue: Venue) -> None:
    clones = Clones(venue)
    late = await clones.state(0)
    await clones.connect(0, 1)
    await note_state(venue.db, venue.tap.path, late)
    assert await venue.db.pool.fetchval("SELECT claims FROM node_status") is not None

    await pass_time(venue, venue.db.policy.identity_conflict_ms + 1)
    await watch_identities(venue.db)

    assert await venue.db.pool.fetchval("SELECT claims FROM node_status") is None


async def test_a_clock_that_is_set_back_ends_a_conflict_until_it_is_proved_again(venue: Venue) -> None:
    clones = Clones(venue)
    await clones.connect(0, 1, 0, 1, 0)
    await pass_time(venue, -86_400_000)

    await watch_identities(venue.db)
    assert await venue.incidents("identity_conflict") == []

    await clones.connect(1, 0, 1, 0)
    assert len(await venue.incidents("identity_conflict")) == 1
