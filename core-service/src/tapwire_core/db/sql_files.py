"""Installation of the functions, views and triggers of `sql/`: `migrate` replaces each that differs from its file.

PostgreSQL itself finds the differences. Each file runs in the session's temporary schema, the catalogue's text of the result is
compared with that of the object in `public`, and the trial is rolled back. So an object changed by hand is corrected, and one that
equals its file is not touched: no lock, no new row in the catalogue.

A comment on each object marks it as ours and has a digest of its file. By it `migrate` finds and drops objects without a
file, and a starting program checks that `migrate` ran with its files. All other objects stay.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

SQL: Final = Path(__file__).parent / "sql"
MARK: Final = "Tapwire, from db/sql, "
TRIAL: Final = "pg_my_temp_schema()"


@dataclass(frozen=True)
class Kind:
    """A kind of object: its folder, and the query for a schema's objects that belong to no extension.

    The query returns `name` as in the file names, `identity` for DROP and COMMENT, `signature` (when it changes, the object must be
    dropped and created), `definition`, and the comment. `schema`: where the objects are; names in them are looked up there first.
    """

    folder: str
    objects: str
    schema: str = "public"

    @property
    def search_path(self) -> str:
        """The schemas in which names are looked up; new objects go into the first."""
        return ", ".join(dict.fromkeys((self.schema, "public")))

    @property
    def namespace(self) -> str:
        """The schema, for the query."""
        return f"CAST('{self.schema}' AS regnamespace)"


FUNCTIONS: Final = Kind(
    "functions",
    """SELECT proname AS name, format('FUNCTION public.%I(%s)', proname, oidvectortypes(proargtypes)) AS identity,
        concat(pg_get_function_arguments(proc.oid), ' returns ', pg_get_function_result(proc.oid)) AS signature,
        -- without the schema before the name
        substring(pg_get_functiondef(proc.oid) FROM position(format('%I(', proname) IN pg_get_functiondef(proc.oid))) AS definition,
        obj_description(proc.oid, 'pg_proc') AS comment
    FROM pg_proc AS proc
    WHERE pronamespace = {schema} AND prokind = 'f' AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = CAST('pg_proc' AS regclass) AND objid = proc.oid AND deptype = 'e')""",
)
_VIEWS_OF: Final = """SELECT relname AS name, format('VIEW {name}.%I', relname) AS identity,
        (SELECT string_agg(concat(attname, ' ', format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
         FROM pg_attribute WHERE attrelid = view.oid AND attnum > 0) AS signature,
        concat(reloptions, pg_get_viewdef(view.oid)) AS definition,
        obj_description(view.oid, 'pg_class') AS comment
    FROM pg_class AS view
    WHERE relnamespace = {schema} AND relkind = 'v' AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = CAST('pg_class' AS regclass) AND objid = view.oid AND deptype = 'e')"""
VIEWS: Final = Kind("views", _VIEWS_OF)
TRIGGERS: Final = Kind(
    "triggers",
    """SELECT concat(relname, '.', tgname) AS name, format('TRIGGER %I ON public.%I', tgname, relname) AS identity,
        '' AS signature,
        concat(tgenabled, pg_get_triggerdef(trigger.oid, true)) AS definition,
        obj_description(trigger.oid, 'pg_trigger') AS comment
    FROM pg_trigger AS trigger JOIN pg_class AS rows ON rows.oid = tgrelid
    WHERE relnamespace = {schema} AND NOT tgisinternal""",
)
VENUE_VIEWS: Final = Kind("venue_views", _VIEWS_OF, schema="of_venues")
"""Tables as an operator of some venues sees them; `Database.read` looks names up there first."""
KINDS: Final = (FUNCTIONS, VIEWS, TRIGGERS, VENUE_VIEWS)
"""In the order of creation: a view may use functions, a trigger needs its function."""


@dataclass(frozen=True)
class _Object:
    name: str
    identity: str
    signature: str
    definition: str
    comment: str | None

    @property
    def is_ours(self) -> bool:
        return self.comment is not None and self.comment.startswith(MARK)


@dataclass(frozen=True)
class _File:
    name: str
    statement: str

    @property
    def comment(self) -> str:
        return MARK + hashlib.sha256(self.statement.encode()).hexdigest()[:16]


def install_objects(connection: Connection, folder: Path = SQL) -> None:
    """Install the functions, views and triggers of the files in the caller's transaction; the tables must exist."""
    connection.execute(text("SET LOCAL check_function_bodies = off"))  # a body may refer to later objects
    without_file: list[_Object] = []
    for kind in KINDS:
        connection.execute(text(f"SET LOCAL search_path = {kind.search_path}"))
        present = {found.identity: found for found in _objects(connection, kind, kind.namespace)}
        files = list(_files(folder, kind))
        for file in files:
            wanted = _try(connection, kind, file)
            _put(connection, file, wanted, present.pop(wanted.identity, None))
        names = {file.name for file in files}
        without_file += [other for other in present.values() if other.is_ours or other.name in names]
    for other in reversed(without_file):
        connection.exec_driver_sql(f"DROP {other.identity}")
    connection.execute(text("SET LOCAL search_path = public"))


def outdated_objects(connection: Connection) -> list[str]:
    """The functions, views and triggers that `migrate` did not install from this version's files."""
    return [
        file.name
        for kind in KINDS
        for comments in [{found.name: found.comment for found in _objects(connection, kind, kind.namespace)}]
        for file in _files(SQL, kind)
        if comments.get(file.name) != file.comment
    ]


def _put(connection: Connection, file: _File, wanted: _Object, found: _Object | None) -> None:
    is_same = found is not None and found.definition == wanted.definition
    if not is_same:
        if found is not None and found.signature != wanted.signature:
            connection.exec_driver_sql(f"DROP {found.identity}")
        connection.exec_driver_sql(file.statement)
    if not is_same or found is None or found.comment != file.comment:
        connection.exec_driver_sql(f"COMMENT ON {wanted.identity} IS '{file.comment}'")


def _try(connection: Connection, kind: Kind, file: _File) -> _Object:
    """Run the file on trial, and return the catalogue's object; the trial is rolled back."""
    trial = connection.begin_nested()
    try:
        connection.execute(text("SET LOCAL search_path = pg_temp, public"))
        if kind is TRIGGERS:
            table = file.name.partition(".")[0]
            connection.exec_driver_sql(f'CREATE TEMP TABLE "{table}" (LIKE public."{table}")')
        connection.exec_driver_sql(file.statement)
        (made,) = _objects(connection, kind, TRIAL)
    finally:
        trial.rollback()
    assert made.name == file.name, f"{kind.folder}/{file.name}.sql makes {made.name}"
    return made


def _objects(connection: Connection, kind: Kind, schema: str) -> Iterable[_Object]:
    found = connection.exec_driver_sql(kind.objects.format(schema=schema, name=kind.schema) + " ORDER BY identity")
    return [_Object(**row) for row in found.mappings()]


def _files(folder: Path, kind: Kind) -> Iterator[_File]:
    for path in sorted((folder / kind.folder).glob("*.sql")):
        yield _File(path.stem, path.read_text(encoding="utf-8"))
