"""Texts of errors for operators, with the next step: one for each `code` that the console can get.

A code without a text here shows the error's own English text.
"""

from collections.abc import Mapping
from typing import Final

from tapwire_admin.console.translations import N_

DEPOSIT_NOT_COVERED: Final = N_("The deposit for a card is %(amount)s, more than the guest has available. Take the money first.")
PROBLEMS: Final[Mapping[str, str]] = {
    "age_contradictory": N_(
        "By this date of birth the guest is under age. Correct the date, or untick that you have checked the guest's age."
    ),
    "already_checked_out": N_("This guest was checked out already. Look at the receipt."),
    "already_claimed": N_("A colleague is already handling this incident. Talk to them."),
    "already_reconciled": N_("This pour was already settled by hand with another volume. Correct the guest's balance instead."),
    "already_reversed": N_("This top-up was already taken back."),
    "already_resolved": N_("This incident is already resolved."),
    "amount_required": N_("Enter an amount: the value of this volume is not known."),
    "beverage_archived": N_("This beverage is no longer sold. Sell it again first."),
    "beverage_on_tap": N_("A keg of this beverage is connected to a tap. Disconnect it first."),
    "bind_conflict": N_("This card belongs to another guest. Use another card."),
    "busy": N_("Somebody else is changing this right now. Try again in a moment."),
    "calibration_outdated": N_("The factor has changed since this was measured. Measure again."),
    "card_busy": N_("This card is in use in another visit. Use another card, or close that visit."),
    "card_not_returnable": N_("There is no card to give back: it is lost, or no longer the guest's."),
    "card_not_lost": N_("Only a lost card can be reactivated."),
    "card_not_on_reader": N_("This card no longer lies on the reader. Lay it on again, or type its number."),
    "card_uid_invalid": N_("This is not the id of a card, which has 8, 14 or 20 of the characters 0–9 and a–f. Read it again."),
    "card_uid_random": N_("This is a telephone: it shows another id at each reading. Use a card."),
    "cash_not_counted": N_("This shift does not count its cash. The venue's settings say whether the next one does."),
    "changed_meanwhile": N_("This was changed meanwhile by somebody else. Nothing was done: close this and open it again."),
    "count_required": N_("Count the drawer first: it was not counted, or cash has moved since."),
    "csrf_token_required": N_("This page is out of date. Reload it."),
    "device_exists": N_(
        "This device already exists. Create a new secret for it if the old one is lost, or tick “Replaces an existing device”."
    ),
    "drawer_short": N_("By the books the drawer has less than that. Count it."),
    "guest_blocked": N_("This guest is blocked. Unblock the guest on the guest's page."),
    "guest_page_ended": N_("The guest's page has ended: it lasts until 24 hours after the visit."),
    "guest_erased": N_("This guest was erased: nothing of theirs changes any longer. Add a new guest."),
    "guest_not_settled": N_(
        "Something of this guest is not settled: an open visit, a pour, a balance, a deposit or an incident. Settle it first."
    ),
    "guest_required": N_("Choose a visit."),
    "guest_underage": N_("The guest's age is not known, or too low. Check it, and record it on the guest's page."),
    "idempotency_key_reused": N_("This form was sent before with other values. Close it and open it again."),
    "incident_open": N_("Something that the guest poured is not paid yet. Resolve the incident first."),
    "insufficient_funds": N_("That is more than the guest has available."),
    "internal_error": N_("Something went wrong. Try again: nothing is booked twice."),
    "invalid": N_("Please check what you entered."),
    "keg_finished": N_("This keg was kicked, spoiled or returned: it does not come back into stock."),
    "keg_not_low": N_("The books have much left in this keg. A shift lead can say that it is kicked or spoiled, with a reason."),
    "keg_not_usable": N_("This keg can't be used here. Choose another one."),
    "keg_on_other_tap": N_("This keg is connected to another tap. Disconnect it there first."),
    "keg_on_tap": N_("This keg is connected to a tap. Disconnect it first."),
    "last_engineer": N_("This is the last engineer. Add another one first."),
    "login_locked": N_("Too many wrong passwords. Wait a little, then try again."),
    "login_refused": N_("The username or the password is wrong."),
    "login_required": N_("You were logged out. Log in again."),
    "lost_card": N_("This card was reported lost, or is retired. Use another card."),
    "no_keg": N_("This tap has no keg by now: close this and open it again."),
    "no_serving_limit": N_("This venue has no serving limit now: there is nothing to re-arm."),
    "not_found": N_("This no longer exists."),
    "not_locked": N_("This visit is no longer locked."),
    "not_refundable": N_("The guest has less that can be paid out. House credit is poured, not paid out."),
    "not_reversible": N_("Only a top-up in cash or by bank card can be undone. Correct the balance instead."),
    "not_the_guests_pour": N_("That pour belongs to another guest."),
    "nothing_to_book": N_("There is nothing to charge or to write off here. Resolve it without a booking."),
    "pairing_accepted": N_("This code was already used for another device. Pair again: the device then shows a new code."),
    "page_out_of_date": N_("This page is out of date. Reload it."),
    "passwords_busy": N_("Too many passwords are being checked right now. Try again in a moment."),
    "pour_not_pending": N_("This pour has ended in the meantime."),
    "pour_pending": N_(
        "A pour of this visit is in progress or not reported yet. Wait, settle it by hand, or close the visit without charge."
    ),
    "price_rule_overlap": N_("Another price rule would be on at the same time for the same beverage. Change times or days."),
    "reason_required": N_("Write down why."),
    "all_venues_required": N_("This belongs to all venues, and you have only some. Ask an engineer of all venues."),
    "refund_limit": N_("That is more than you may pay out alone. Ask a shift lead."),
    "role_required": N_("You are not allowed to do this. Ask a shift lead or an engineer."),
    "balance_limit": N_("That is more than a balance may be here."),
    "notification_invalid": N_("This notification is not signed by the payment provider."),
    "payments_off": N_("Paying by telephone is not possible here. Please go to the counter."),
    "provider_unavailable": N_("The payment provider does not answer right now. Try again in a moment."),
    "too_many_payments": N_("Too many payments were begun and not paid. Try again later, or go to the counter."),
    "top_up_limit": N_("This amount can't be paid by telephone."),
    "secret_shown_once": N_("This secret was already shown. Create a new one."),
    "shift_already_open": N_("The shift is already open."),
    "shift_closed": N_("No shift is open. Open the shift first."),
    "shift_in_use": N_("The shift can't be closed yet."),
    "shift_open": N_("Close the shift first."),
    "venue_required": N_("There is no venue yet. Set it up first."),
    "tap_exists": N_("A tap with this id already exists."),
    "too_many_webhooks": N_("No more webhooks can be added. Delete one first."),
    "unusual_amount": N_("Is this amount right?"),
    "unavailable": N_("The database can't be reached right now. Try again in a moment."),
    "user_exists": N_("A user with this name already exists."),
    "venue_exists": N_("A venue with this id already exists."),
    "visit_already_active": N_("This guest already has an open visit."),
    "visit_not_active": N_("This visit is closed. Open a new one."),
    "webhook_url_refused": N_("This address is not allowed. Use https, and a receiver outside this network."),
    "z_report_made": N_("The Z report of this shift already exists."),
}
