"""Who may pour: the rows of the table in SYSTEM.md, "Authorisation", each by a question that fails it and no earlier one."""

from typing import Final

from tapwire_conformance.core.stage import ML_MINOR, CoreStage
from tapwire_conformance.rules import AUTHORISATION, Broken, Catalogue

RULES: Final[Catalogue[CoreStage]] = Catalogue()
POOR_MESSAGE: Final = "Insufficient funds: top up guest balance before pouring."


@RULES.must("AUTH-1", AUTHORISATION)
def tap_unknown(stage: CoreStage) -> None:
    """A question for a tap that is not there, or not the asking device's, is denied as `tap_unknown`."""
    ann = stage.guest(100_00)
    for tap_id in ("none", "right"):
        status, body = stage.door("/api/visits/authorize-pour", {"card_uid": ann.card_uid, "tap_id": tap_id})
        if status != 403 or body.get("detail", {}).get("reason") != "tap_unknown":
            raise Broken(f"a question for the tap {tap_id} was answered {status} {body}")


@RULES.must("AUTH-2", AUTHORISATION)
def stale_request(stage: CoreStage) -> None:
    """A new question whose `seq` is not above the highest decided for its tap and journal is denied as `stale_request`."""
    ann, node = stage.guest(100_00), stage.node()
    node.deliver(node.report_of(node.grant(ann.card_uid, seq=5), 0))
    for seq in (5, 3):
        node.denied(node.question(ann.card_uid, seq=seq), "stale_request")


@RULES.must("AUTH-3", AUTHORISATION)
def emergency_stop(stage: CoreStage) -> None:
    """While the venue's emergency stop is on, a question is denied as `emergency_stop`."""
    ann, node = stage.guest(100_00), stage.node()
    stop = f"/api/venues/{stage.venue_id}/emergency-stop"
    stage.afterwards(lambda: stage.api.post(stop, {"on": False, "reason": "conformance"}))
    stage.api.post(stop, {"on": True, "reason": "conformance"})
    node.denied(node.question(ann.card_uid), "emergency_stop")


@RULES.must("AUTH-4", AUTHORISATION)
def out_of_service(stage: CoreStage) -> None:
    """At a tap that was taken out of service a question is denied as `tap_locked` or `tap_cleaning`."""
    ann, node = stage.guest(100_00), stage.node()
    for status, reason in (("locked", "tap_locked"), ("cleaning", "tap_cleaning")):
        stage.set_tap(status=status)
        node.denied(node.question(ann.card_uid), reason)


@RULES.must("AUTH-5", AUTHORISATION)
def tap_not_configured(stage: CoreStage) -> None:
    """Without a keg, or without an `abv` where ethanol is counted, a question is denied as `tap_not_configured`."""
    ann, node = stage.guest(100_00), stage.node()
    venue = f"/api/venues/{stage.venue_id}"
    stage.afterwards(lambda: stage.api.patch(venue, {"serving_limit": None}))
    stage.api.patch(venue, {"serving_limit": {"measure": "ethanol", "limit_mg": 40_000, "window_minutes": 60}})
    node.denied(node.question(ann.card_uid), "tap_not_configured")
    stage.api.patch(venue, {"serving_limit": None})
    stage.take_keg_off()
    node.denied(node.question(ann.card_uid), "tap_not_configured")


@RULES.must("AUTH-6", AUTHORISATION)
def keg_empty(stage: CoreStage) -> None:
    """When the keg's book volume is 0 or below, a question is denied as `keg_empty`."""
    ann, node = stage.guest(100_00), stage.node()
    stage.small_keg(10)
    node.deliver(node.report_of(node.grant(ann.card_uid), 10))
    node.denied(node.question(ann.card_uid), "keg_empty")


@RULES.must("AUTH-7", AUTHORISATION)
def shift_closed(stage: CoreStage) -> None:
    """Without an open shift at the venue a question is denied as `shift_closed`."""
    ann, node = stage.guest(100_00), stage.node()
    stage.afterwards(lambda: stage.api.post("/api/shifts/open", {"venue_id": stage.venue_id}))
    stage.api.post("/api/shifts/close", {"venue_id": stage.venue_id, "end_visits": True})
    node.denied(node.question(ann.card_uid), "shift_closed")


@RULES.must("AUTH-8", AUTHORISATION)
def card_unknown(stage: CoreStage) -> None:
    """A card that was never seen is denied as `card_unknown`."""
    node = stage.node()
    node.denied(node.question("04fffffffffff0"), "card_unknown")


@RULES.must("AUTH-9", AUTHORISATION)
def lost_card(stage: CoreStage) -> None:
    """A card that was reported lost, or retired, is denied as `lost_card`."""
    ann, bob, node = stage.guest(100_00), stage.guest(100_00), stage.node()
    stage.api.post(f"/api/cards/{ann.card_uid}/lost", {"reason": "conformance"})
    node.denied(node.question(ann.card_uid), "lost_card")
    stage.close_visit(bob)
    stage.api.post(f"/api/cards/{bob.card_uid}/retire", {"reason": "conformance"})
    node.denied(node.question(bob.card_uid), "lost_card")


@RULES.must("AUTH-10", AUTHORISATION)
def no_active_visit(stage: CoreStage) -> None:
    """A card that no active visit holds is denied as `no_active_visit`."""
    ann, node = stage.guest(100_00), stage.node()
    stage.close_visit(ann)
    node.denied(node.question(ann.card_uid), "no_active_visit")


@RULES.must("AUTH-11", AUTHORISATION)
def visit_expired(stage: CoreStage) -> None:
    """When the visit's `valid_until` has passed, its card is denied as `visit_expired`."""
    venue = f"/api/venues/{stage.venue_id}"
    stage.afterwards(lambda: stage.api.patch(venue, {"visit_hours": None}))
    stage.api.patch(venue, {"visit_hours": 1})
    ann, node = stage.guest(100_00), stage.node()
    stage.an_hour_passes()
    node.denied(node.question(ann.card_uid), "visit_expired")


@RULES.must("AUTH-12", AUTHORISATION)
def guest_blocked(stage: CoreStage) -> None:
    """A deactivated guest is denied as `guest_blocked`."""
    ann, node = stage.guest(100_00), stage.node()
    stage.api.patch(f"/api/guests/{ann.guest_id}", {"blocked": True})
    node.denied(node.question(ann.card_uid), "guest_blocked")


@RULES.must("AUTH-13", AUTHORISATION)
def age_restricted(stage: CoreStage) -> None:
    """A visit that gets no alcohol is denied as `age_restricted` where the beverage's `abv` is null or above 0."""
    ann, node = stage.guest(100_00), stage.node()
    stage.api.post(f"/api/visits/{ann.visit_id}/alcohol", {"allowed": False, "reason": "conformance"})
    node.denied(node.question(ann.card_uid), "age_restricted")


@RULES.must("AUTH-14", AUTHORISATION)
def card_in_use_on_other_tap(stage: CoreStage) -> None:
    """A card whose visit is leased to another tap is denied as `card_in_use_on_other_tap`."""
    ann, node, other = stage.guest(100_00), stage.node(), stage.node(stage.right)
    node.grant(ann.card_uid)
    other.denied(other.question(ann.card_uid), "card_in_use_on_other_tap")


@RULES.must("AUTH-15", AUTHORISATION)
def processing_sync(stage: CoreStage) -> None:
    """At a tap that is leased by a pour which is not proven never started, a question is denied as `processing_sync`."""
    ann, bob, node = stage.guest(100_00), stage.guest(100_00), stage.node()
    grant = node.grant(ann.card_uid)
    node.denied(node.question(bob.card_uid, unsettled=[grant["pour_id"]]), "processing_sync")


@RULES.must("AUTH-16", AUTHORISATION)
def serving_limit_reached(stage: CoreStage) -> None:
    """When the venue's serving limit leaves less than 1 ml, a question is denied as `serving_limit_reached`."""
    venue = f"/api/venues/{stage.venue_id}"
    stage.afterwards(lambda: stage.api.patch(venue, {"serving_limit": None}))
    stage.api.patch(venue, {"serving_limit": {"measure": "volume", "limit_ml": 40, "window_minutes": 60}})
    ann, node = stage.guest(100_00), stage.node()
    grant = node.grant(ann.card_uid)
    if grant["max_volume_ml"] != 40:
        raise Broken(f"with 40 ml left of the serving limit the grant was for {grant['max_volume_ml']} ml")
    node.deliver(node.report_of(grant, 40))
    node.denied(node.question(ann.card_uid), "serving_limit_reached")


@RULES.must("AUTH-17", AUTHORISATION)
def insufficient_funds(stage: CoreStage) -> None:
    """A guest who can't pay one millilitre is denied as `insufficient_funds`, in the exact words; one who just can is granted."""
    poor, rich, node = stage.guest(ML_MINOR - 1), stage.guest(ML_MINOR), stage.node()
    denial = node.denied(node.question(poor.card_uid), "insufficient_funds")
    if denial["message"] != POOR_MESSAGE:
        raise Broken(f"the message was {denial['message']!r}, and should have been {POOR_MESSAGE!r}")
    if (grant := node.grant(rich.card_uid))["max_volume_ml"] != 1:
        raise Broken(f"the price of one millilitre was granted {grant['max_volume_ml']} ml")
    if not stage.audited("insufficient_funds_denied", poor.card_uid):
        raise Broken("the denial is not in the audit log as insufficient_funds_denied")


@RULES.must("AUTH-18", AUTHORISATION)
def first_rule_that_fails(stage: CoreStage) -> None:
    """The rules are ordered: the first that fails gives the reason."""
    ann, node = stage.guest(), stage.node()
    node.denied(node.question(ann.card_uid), "insufficient_funds")
    stage.api.patch(f"/api/guests/{ann.guest_id}", {"blocked": True})
    node.denied(node.question(ann.card_uid), "guest_blocked")
    stage.api.post(f"/api/cards/{ann.card_uid}/lost", {"reason": "conformance"})
    node.denied(node.question(ann.card_uid), "lost_card")
    stage.set_tap(status="locked")
    node.denied(node.question(ann.card_uid), "tap_locked")
    node.denied(node.question(ann.card_uid, seq=1), "stale_request")


@RULES.must("AUTH-19", AUTHORISATION)
def denial_changes_nothing(stage: CoreStage) -> None:
    """A denial changes no money and makes no pour; the audit log keeps it, and a retry may succeed."""
    ann, node = stage.guest(100_00), stage.node()
    stage.set_tap(status="locked")
    node.denied(node.question(ann.card_uid), "tap_locked")
    if stage.money(ann) != (100_00, 0) or stage.pours_of(ann):
        raise Broken(f"after a denial the guest has {stage.money(ann)} and the pours {stage.pours_of(ann)}")
    if not stage.audited("pour_denied", ann.card_uid):
        raise Broken("the denial is not in the audit log as pour_denied")
    stage.set_tap(status="active")
    node.grant(ann.card_uid)
