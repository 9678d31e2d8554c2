"""What handlers are given beside their path: the database, who asks, how to run once, a page, and the body."""

from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from tapwire_admin.idempotency import Once
from tapwire_core.db.engine import Database
from tapwire_core.db.views.reading import PageRequest
from tapwire_core.domain.actor import Actor

Db = NamedDependency[Database]
By = NamedDependency[Actor]
RunOnce = NamedDependency[Once]
AskedPage = NamedDependency[PageRequest]

__all__ = ["AskedPage", "By", "Db", "FromPath", "FromQuery", "JSONBody", "RunOnce"]
