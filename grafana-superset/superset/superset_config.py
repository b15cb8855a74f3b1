"""Superset's configuration, native and in containers: everything that differs between the two comes from the environment.

    SUPERSET_SECRETS         the folder of the files secret_key, admin_password, viewer_password and metadata_password
    SUPERSET_METADATA_URI    where Superset keeps its own data, without a password
    SUPERSET_CACHE           the folder of the cache
    SUPERSET_CLICKHOUSE_URL  http://host:port of ClickHouse; SUPERSET_CLICKHOUSE_USER and _PASSWORD or _PASSWORD_FILE log in

A secret that is set itself (SUPERSET_SECRET_KEY and so on) goes before its file.
"""

import os
import queue
from collections import defaultdict
from pathlib import Path

from clickhouse_connect.dbapi.connection import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateSequence


def secret(name: str) -> str:
    """SUPERSET_<NAME>, else the file of that name."""
    if given := os.environ.get(f"SUPERSET_{name.upper()}"):
        return given
    return Path(os.environ["SUPERSET_SECRETS"], name).read_text(encoding="utf-8").strip()


SECRET_KEY = secret("secret_key")

_metadata = make_url(os.environ["SUPERSET_METADATA_URI"])
_on_mysql = _metadata.get_backend_name() in ("mysql", "mariadb")
if _on_mysql:
    _metadata = _metadata.set(password=secret("metadata_password"))
SQLALCHEMY_DATABASE_URI = _metadata.render_as_string(hide_password=False)
# MySQL ends a connection that nobody has used for 8 hours.
SQLALCHEMY_ENGINE_OPTIONS = {"pool_pre_ping": True, "pool_recycle": 3600} if _on_mysql else {}


@compiles(CreateSequence, "mysql")
@compiles(CreateSequence, "mariadb")
def _sequence(element, compiler, **options):  # noqa: ANN001, ANN003, ANN202 (SQLAlchemy's own signature)
    """MariaDB writes NOCYCLE in one word, which SQLAlchemy 1.4 does not know."""
    return compiler.visit_create_sequence(element, **options).replace("NO CYCLE", "NOCYCLE")


# The sales dataset is a query with a template in it, for the time zone.
FEATURE_FLAGS = {"ENABLE_TEMPLATE_PROCESSING": True}

# A dashboard that refreshes itself asks for what is not older than this, and all who look at it share the answers. A file's age
# counts in whole seconds, so that an answer lives one to two. Filters and the like are kept in the metadata, as is Superset's default.
CACHE_SECONDS = 2
DATA_CACHE_CONFIG = {
    "CACHE_TYPE": "FileSystemCache",
    "CACHE_DIR": os.environ["SUPERSET_CACHE"],
    "CACHE_DEFAULT_TIMEOUT": CACHE_SECONDS,
    "CACHE_THRESHOLD": 500,
}
# Without this each refresh of each viewer would go past the cache.
DASHBOARD_AUTO_REFRESH_MODE = "fetch"

# Pages ask nobody but this server: Superset's own policy lets them fetch a pixel by which its use is counted.
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        # Emotion and the charts write styles; some controls compile expressions.
        "style-src": ["'self'", "'unsafe-inline'"],
        "script-src": ["'self'", "'strict-dynamic'", "'unsafe-eval'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}

# Charts and dashboards come from files: nobody uploads data through Superset.
ALLOWED_EXTENSIONS: set = set()


def DB_CONNECTION_MUTATOR(uri, parameters, _username, _security_manager, _source):  # noqa: ANN001, ANN201, N802
    """Fills in where this installation's ClickHouse is: the imported database has the address in containers, and no password."""
    if uri.host == "clickhouse" and (address := os.environ.get("SUPERSET_CLICKHOUSE_URL")):
        there = make_url(address)
        file = os.environ.get("SUPERSET_CLICKHOUSE_PASSWORD_FILE")
        password = Path(file).read_text(encoding="utf-8").strip() if file else os.environ.get("SUPERSET_CLICKHOUSE_PASSWORD")
        user = os.environ.get("SUPERSET_CLICKHOUSE_USER", "default")
        uri = uri.set(host=there.host, port=there.port, username=user, password=password or None)
    if uri.get_backend_name() == "clickhousedb":
        parameters = parameters | {"creator": lambda: _connect(uri)}
    return uri, parameters


# Superset makes an engine for each query, and so a connection, which asks ClickHouse three things about itself before the query. So
# connections are kept beyond their engines: by what they lead to, and never more idle ones than there are threads.
KEPT_MAX = 16
_idle: dict = defaultdict(lambda: queue.LifoQueue(KEPT_MAX))


class KeptConnection(Connection):
    """One that is closed when there are enough idle ones, and else waits for its next user. It holds no state between statements."""

    def __init__(self, uri) -> None:  # noqa: ANN001 (SQLAlchemy's URL)
        _, arguments = uri.get_dialect()().create_connect_args(uri)
        super().__init__(**arguments)
        self.place = _idle[uri]

    def close(self) -> None:
        try:
            self.place.put_nowait(self)
        except queue.Full:
            super().close()


def _connect(uri) -> KeptConnection:  # noqa: ANN001
    try:
        return _idle[uri].get_nowait()
    except queue.Empty:
        return KeptConnection(uri)
