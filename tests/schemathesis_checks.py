"""Our checks of every answer to schemathesis, beside its own; it loads this module by `SCHEMATHESIS_HOOKS`."""

from typing import Any, Final

import schemathesis
from schemathesis import Case, CheckContext, Response
from schemathesis.specs.openapi.checks import positive_data_acceptance

PROBLEM: Final = "application/problem+json"
EXCUSED: Final = {
    "cursor": "only a list makes cursors, and of the kind that it takes itself",
    "time_zone": "which names are time zones the database knows",
    "from": "no schema says which days there are",
    "to": "no schema says that a period ends after it begins",
    "since": "no schema says which days there are",
    "volume_ml": "the house says how much a pour may have, and line cleaning never puts volume back",
    "username": "one name is the core's own",
    "event_types": "`ping` is a type of event that nobody asks for",
    "birth_date": "no schema says what day is today",
    "percent_off": "a rule has exactly one of two prices, which are both optional fields",
    "valid_to": "no schema says that a last day is not before the first one",
}
"""Values that fit the schema and are refused all the same, by field, and why no schema can say it."""
EXCUSED_CODES: Final = {
    "idempotency_key_reused": "another request came with this key before",
    "webhook_url_refused": "where a name leads, and whether something may be sent there, no schema says",
    "venue_required": "how many venues there are the database knows",
    "reason_required": "some changes of a field take a reason, which others do without",
}
NO_INTEGER: Final = "Expected `int`, got `float`"
"""JSON Schema takes 5.0 for an integer; money and volume are written without a point."""


@schemathesis.check
def every_refusal_is_a_documented_problem(_ctx: CheckContext, response: Response, case: Case[Any]) -> bool | None:
    """A refusal is a problem document, with a code that the operation's documentation names for this status."""
    if response.status_code < 400 or not _is_documented_method(response, case):
        return None
    said = case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("content", {})
    if not _is_problem(response):
        assert "application/json" in said, f"no problem document: {response.text[:200]}"
        return None
    code = response.json()["code"]
    assert code in said.get(PROBLEM, {}).get("examples", {}), f"{response.status_code} {code!r} is not documented"
    return None


@schemathesis.check
def what_fits_its_schema_is_refused_by_rule_alone(ctx: CheckContext, response: Response, case: Case[Any]) -> bool | None:
    """`positive_data_acceptance`, but for what no schema can say."""
    if _is_problem(response) and _is_excused(response.json()):
        return None
    return positive_data_acceptance(ctx, response, case)


@schemathesis.check
def without_a_login_nothing_is_told(_ctx: CheckContext, response: Response, case: Case[Any]) -> bool | None:
    """A route with a login answers 401 before any other error."""
    asks = case.operation.definition.raw.get("security")
    if asks and not _carries_login(response) and response.status_code not in (405, 413):
        assert response.status_code in (401, 404), f"{response.status_code} without a login"
    return None


def _is_documented_method(response: Response, case: Case[Any]) -> bool:
    """Return whether the request was the operation's: some are sent by another method, to see it refused."""
    return bool(response.request.method == case.operation.method.upper())


def _is_problem(response: Response) -> bool:
    return response.headers.get("content-type", [""])[0] == PROBLEM


def _is_excused(problem: dict[str, Any]) -> bool:
    if problem["code"] in EXCUSED_CODES:
        return True
    return problem["code"] == "invalid" and (problem.get("field") in EXCUSED or NO_INTEGER in problem["detail"])


def _carries_login(response: Response) -> bool:
    return bool({"authorization", "x-internal-token"} & {name.lower() for name in response.request.headers})
