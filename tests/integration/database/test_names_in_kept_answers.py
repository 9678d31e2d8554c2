"""The migration to revision 0038 takes names out of the answers that versions before it kept whole."""

import asyncpg

from tapwire_core.db.schema import migrate

GUEST = (
    r'{"guest_id":"7d","first_name":"Zo\"e \\","last_name":"Zimmer","shown_name":"Zo\"e Zimmer","phone":"+34 611","cards":[],'
    r'"birth_date":"1987-06-05","balance_minor":500,"currency":"EUR"}'
)
FREED = (
    '{"guest_id":"7d","first_name":null,"last_name":null,"shown_name":null,"phone":null,"cards":[],'
    '"birth_date":null,"balance_minor":500,"currency":"EUR"}'
)
SEALED = "c2VhbGVk"
RESULT = '"5f2b"'


async def test_names_are_taken_out_and_all_else_stays(empty_owner_url: str) -> None:
    await migrate(empty_owner_url, revision="0035")
    connection = await asyncpg.connect(empty_owner_url)
    before = {
        ("otto POST /api/guests", "1"): (GUEST, 201),
        ("otto POST /api/visits/5f/close", "2"): ('{"visit_id":"5f","guest_name":"Zoe","beverage":{"name":"Pils"}}', 200),
        ("eve POST /api/devices", "3"): (SEALED, 201),
        ("otto POST /api/guests", "4"): (RESULT, None),
    }
    await connection.executemany(
        """INSERT INTO idempotent_answers (scope, idempotency_key, body_hash, done, status_code, answer)
           VALUES ($1, $2, '\\x00', $4::int IS NOT NULL, $4, $3)""",
        [(*key, *kept) for key, kept in before.items()],
    )

    await migrate(empty_owner_url)

    rows = await connection.fetch("SELECT answer FROM idempotent_answers ORDER BY idempotency_key")
    await connection.close()
    visit = '{"visit_id":"5f","guest_name":null,"beverage":{"name":"Pils"}}'
    assert [row["answer"] for row in rows] == [FREED, visit, SEALED, RESULT]
