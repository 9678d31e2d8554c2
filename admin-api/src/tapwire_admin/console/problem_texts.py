"""What went wrong, in the operator's language, with the next step: one text for each machine `code` that the console can meet.

A code that has none here is told in the words of the error itself, in English: better those than none.
"""

from collections.abc import Mapping
from typing import Final

from tapwire_admin.console.translations import N_

PROBLEMS: Final[Mapping[str, str]] = {
    "already_claimed": N_("A colleague has this incident in hand already. Talk to them."),
    "already_reconciled": N_("This pour was settled by hand before, with another volume. Correct the guest's balance instead."),
    "already_resolved": N_("This incident is resolved already."),
    "amount_required": N_("Enter an amount: nobody knows what this volume is worth."),
    "beverage_archived": N_("This beverage is sold no more. Take it out of the archive first."),
    "beverage_on_tap": N_("A keg of this beverage hangs on a tap. Take it off first."),
    "bind_conflict": N_("This card belongs to another guest. Take another card."),
    "busy": N_("Somebody else is changing the same right now. Try again in a moment."),
    "card_busy": N_("This card is in use in another visit. Take another card, or close that visit."),
    "card_not_lost": N_("Only a lost card can be found again."),
    "csrf_token_required": N_("This page is too old. Load it again."),
    "device_exists": N_("This device is there already. Renew its secret if it is lost, or say that the new one takes its place."),
    "guest_blocked": N_("This guest is blocked. That can be lifted on the guest's page."),
    "guest_required": N_("Choose the visit that this is about."),
    "guest_underage": N_("The guest's age is not known, or too low. Check it, and note it on the guest's page."),
    "idempotency_key_reused": N_("This form was sent before with other values. Close it and open it again."),
    "insufficient_funds": N_("That is more than the guest has available."),
    "internal_error": N_("Something went wrong here. Nothing was booked twice: try again."),
    "invalid": N_("Please check what you entered."),
    "keg_not_usable": N_("This keg can't be used here. Take another one."),
    "keg_on_other_tap": N_("This keg hangs on another tap. Take it off there first."),
    "keg_on_tap": N_("This keg hangs on a tap. Take it off first."),
    "last_engineer": N_("This is the last engineer. Make another one first."),
    "login_locked": N_("Too many wrong passwords. Wait a little, then try again."),
    "login_refused": N_("The name or the password is wrong."),
    "login_required": N_("You were logged out. Log in again."),
    "lost_card": N_("This card was reported lost, or is retired. Take another card."),
    "not_found": N_("This is not there any more."),
    "not_locked": N_("Nothing holds this visit any more."),
    "not_the_guests_pour": N_("That pour was another guest's."),
    "pairing_accepted": N_("This code was accepted for another device. Pair again: the device then shows a new code."),
    "passwords_busy": N_("Too many passwords are being checked right now. Try again in a moment."),
    "pour_not_pending": N_("This pour has ended in the meantime."),
    "pour_pending": N_("A pour of this visit still runs, or was not reported yet. Wait, settle it by hand, or close and void it."),
    "role_required": N_("You may not do this. Ask a shift lead or an engineer."),
    "secret_shown_once": N_("This secret was shown already. Renew it to get a new one."),
    "shift_already_open": N_("The shift is open already."),
    "shift_closed": N_("No shift is open. Open the shift first."),
    "shift_in_use": N_("The shift can't be closed yet."),
    "shift_open": N_("Close the shift first."),
    "tap_exists": N_("There is a tap with this id already."),
    "too_many_webhooks": N_("There are as many webhooks as there may be. Delete one first."),
    "unavailable": N_("The database can't be reached now. Try again in a moment."),
    "user_exists": N_("There is a user of this name already."),
    "venue_exists": N_("There is a venue with this id already."),
    "visit_already_active": N_("This guest has an open visit already."),
    "visit_not_active": N_("This visit is closed. Open a new one."),
    "webhook_url_refused": N_("Nothing is sent to this address. Use https, and a receiver outside of this network."),
    "z_report_made": N_("The Z report of this shift was made already."),
}
