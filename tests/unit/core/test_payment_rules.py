"""The rules of payments: a provider's words in any order, any number of times, end in the same books."""

from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tapwire_contracts.reasons import IncidentKind
from tapwire_core.domain.actor import CORE
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import Account, PaymentStatus, ReturnCause, ReturnStatus
from tapwire_core.domain.payment_facts import KnownReturn, Moved, PaymentFacts, ProviderPayment, ProviderReturn
from tapwire_core.domain.payments import is_same_payment, refunds_at_check_out, take_in

PAYMENT_ID, GUEST_ID = uuid4(), uuid4()
PAID_MINOR = 20_00


class Books:
    """A guest's account and a payment, which follow what the rules say."""

    def __init__(
        self, *, spent_minor: int = 0, room_minor: int | None = None, is_blocked: bool = False, is_paid_out: bool = False
    ) -> None:
        self.spent_minor = spent_minor
        self.accounts = dict.fromkeys(Account, 0)
        self.incidents: set[str] = set()
        self.payment = PaymentFacts(
            payment_id=PAYMENT_ID,
            guest_id=GUEST_ID,
            status=PaymentStatus.PENDING,
            amount_minor=PAID_MINOR,
            booked_minor=0,
            provider_id="page",
            charge_id=None,
            returns=(),
            balance_minor=0,
            available_minor=0,
            room_minor=room_minor,
            is_blocked=is_blocked,
            is_erased=False,
            is_paid_out=is_paid_out,
        )

    def hear(self, said: ProviderPayment) -> None:
        """Take a provider's word in, and write it."""
        changes = Changes.by(CORE)
        written = take_in(self.payment, said, changes)
        returns = {its.return_id: its for its in self.payment.returns}
        for its in written.returns.values():
            before = returns.get(its.return_id)
            returns[its.return_id] = KnownReturn(
                return_id=its.return_id,
                cause=its.cause,
                provider_id=its.provider_id,
                amount_minor=its.amount_minor,
                status=its.status,
                moved=before.moved if before else (),
                incident_id=before.incident_id if before else None,
            )
        for moved in changes.money:
            self.accounts[moved.debit_account] += moved.amount_minor
            self.accounts[moved.credit_account] -= moved.amount_minor
            if moved.payment_return_id is not None:
                known = returns[moved.payment_return_id]
                row = Moved(moved.debit_account, moved.credit_account, moved.amount_minor)
                returns[known.return_id] = replace(known, moved=(*known.moved, row))
        for raised in changes.raised:
            self.incidents.add(raised.cause)
            returns[UUID(raised.cause)] = replace(returns[UUID(raised.cause)], incident_id=uuid4())
        self.payment = replace(
            self.payment,
            status=written.status,
            booked_minor=written.booked_minor,
            charge_id=written.charge_id,
            returns=tuple(returns.values()),
            balance_minor=-self.accounts[Account.GUEST],
            available_minor=max(0, -self.accounts[Account.GUEST] - self.spent_minor),
        )


def said(status: PaymentStatus, *returns: ProviderReturn) -> ProviderPayment:
    """A provider's word about the payment."""
    return ProviderPayment(
        provider_id="page",
        charge_id="charge",
        payment_id=PAYMENT_ID,
        status=status,
        amount_minor=PAID_MINOR,
        currency="EUR",
        returns=returns,
    )


def went_back(name: str, amount_minor: int, *, stands: bool = True, cause: ReturnCause = ReturnCause.DISPUTE) -> ProviderReturn:
    """A refund or dispute, as the provider states it."""
    return ProviderReturn(provider_id=name, cause=cause, amount_minor=amount_minor, stands=stands)


WORDS = (
    said(PaymentStatus.PENDING),
    said(PaymentStatus.EXPIRED),
    said(PaymentStatus.PAID),
    said(PaymentStatus.PAID, went_back("dp", PAID_MINOR)),
    said(PaymentStatus.PAID, went_back("dp", PAID_MINOR, stands=False)),
)


@given(st.lists(st.sampled_from(WORDS), max_size=12), st.sampled_from([0, 5_00, PAID_MINOR]))
def test_any_words_in_any_order_end_where_the_last_ones_do(words: list[ProviderPayment], spent_minor: int) -> None:
    books = Books(spent_minor=spent_minor)

    for word in words:
        books.hear(word)
    books.hear(WORDS[-1])

    assert books.payment.status is PaymentStatus.PAID
    assert books.accounts[Account.ONLINE_PAYMENT] == PAID_MINOR == -books.accounts[Account.GUEST]
    assert books.accounts[Account.PAYMENT_LOSS] == 0


@given(st.integers(0, 30_00), st.integers(1, PAID_MINOR))
def test_what_the_guest_cannot_cover_is_the_venues_loss_and_an_incident(spent_minor: int, disputed_minor: int) -> None:
    books = Books(spent_minor=spent_minor)
    books.hear(said(PaymentStatus.PAID))
    available_minor = books.payment.available_minor

    for _ in range(2):
        books.hear(said(PaymentStatus.PAID, went_back("dp", disputed_minor)))

    lost_minor = max(0, disputed_minor - available_minor)
    assert books.accounts[Account.PAYMENT_LOSS] == lost_minor
    assert books.accounts[Account.ONLINE_PAYMENT] == PAID_MINOR - disputed_minor
    assert books.accounts[Account.SALES] == 0
    assert len(books.incidents) == (1 if lost_minor else 0)
    assert books.payment.status is PaymentStatus.REVERSED


@given(st.none() | st.integers(-10_00, 30_00), st.booleans())
def test_a_paid_amount_is_booked_or_goes_back(room_minor: int | None, is_blocked: bool) -> None:
    books = Books(room_minor=room_minor, is_blocked=is_blocked)

    for _ in range(2):
        books.hear(said(PaymentStatus.PAID))

    back_minor = sum(its.amount_minor for its in books.payment.returns)
    assert books.payment.booked_minor + back_minor == PAID_MINOR
    assert books.payment.booked_minor == -books.accounts[Account.GUEST]
    if is_blocked:
        assert books.payment.booked_minor == 0
    elif room_minor is not None:
        assert books.payment.booked_minor <= max(0, room_minor)
    assert {its.status for its in books.payment.returns} <= {ReturnStatus.DUE}


@given(st.lists(st.integers(1, 50_00), max_size=6), st.integers(0, 200_00))
def test_a_check_out_gives_back_no_more_than_came_and_no_more_than_is_due(left: list[int], amount_minor: int) -> None:
    payments = [(uuid4(), left_minor) for left_minor in left]

    refunds = refunds_at_check_out(uuid4(), amount_minor, payments)

    assert sum(refund.amount_minor for _, refund in refunds) == min(amount_minor, sum(left))
    assert all(0 < refund.amount_minor <= dict(payments)[payment_id] for payment_id, refund in refunds)


def test_another_page_amount_or_currency_is_another_payment() -> None:
    ours = Books().payment

    assert is_same_payment(ours, said(PaymentStatus.PAID), "EUR")
    assert not is_same_payment(ours, replace(said(PaymentStatus.PAID), provider_id="other"), "EUR")
    assert not is_same_payment(ours, replace(said(PaymentStatus.PAID), payment_id=uuid4()), "EUR")
    assert not is_same_payment(ours, replace(said(PaymentStatus.PAID), amount_minor=1), "EUR")
    assert not is_same_payment(ours, said(PaymentStatus.PAID), "USD")


def test_the_incident_says_what_a_person_needs() -> None:
    books = Books(spent_minor=PAID_MINOR)
    books.hear(said(PaymentStatus.PAID))
    changes = Changes.by(CORE)

    take_in(books.payment, said(PaymentStatus.PAID, went_back("dp", PAID_MINOR)), changes)

    (raised,) = changes.raised
    assert raised.kind is IncidentKind.PAYMENT_REVERSED
    assert (raised.details["guest_id"], raised.details["payment_id"]) == (str(GUEST_ID), str(PAYMENT_ID))
