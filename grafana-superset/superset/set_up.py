"""Makes Superset's metadata what this folder says: schema, roles, users, and the dashboards of `import`.

Run in Superset's own Python, before the server starts, with the environment that superset_config.py reads. What is current is left
alone: a stamp in the metadata names the version of Superset and every file of the import. Stopped in the middle, it is run again.

    python set_up.py            all of it
    python set_up.py --schema   the schema and Superset's own roles alone, which hold nothing of this installation
    python set_up.py --secrets  what is to be kept secret alone, also the password of the metadata, which is to be known first
    python set_up.py --from DIR the dashboards of another folder than `import`, such as an export
    python set_up.py --again    even if the stamp is current: the dashboards as in the files, whatever people made of them
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What may be made up: the password of the metadata is known to its database already.
GENERATED = ("secret_key", "admin_password", "viewer_password")
# Views on which people who only look may write all the same: what they filter, and links that they share.
STILL_WRITTEN = {"DashboardFilterStateRestApi", "DashboardPermalinkRestApi", "ExploreFormDataRestApi", "ExplorePermalinkRestApi"}


def main(arguments: list[str]) -> int:
    schema_alone, again = "--schema" in arguments, "--again" in arguments
    folder = Path(arguments[arguments.index("--from") + 1]) if "--from" in arguments else HERE / "import"
    write_secrets(Path(os.environ["SUPERSET_SECRETS"]), (*GENERATED, "metadata_password") if "--secrets" in arguments else GENERATED)
    if "--secrets" in arguments:
        return 0
    sys.path.insert(0, str(HERE))
    import superset_config

    uri, wanted = superset_config.SQLALCHEMY_DATABASE_URI, stamp(folder)
    if not again and not schema_alone and read_stamp(uri) == wanted:
        print("Superset's metadata is current")
        return 0
    start_over_if_half_made(uri)

    from superset.app import create_app

    with create_app().app_context():
        upgrade_schema()
        if not schema_alone:
            add_users()
            import_assets(folder)
            write_stamp(uri, wanted)
    return 0


def write_secrets(folder: Path, names: tuple[str, ...]) -> None:
    """Makes up what is neither set nor there, in files that nobody else may read."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if os.environ.get(f"SUPERSET_{name.upper()}") or (folder / name).exists():
            continue
        # Beside it, and renamed when it is whole: a half-written key would be taken for the key.
        unfinished = folder / f".{name}.{os.getpid()}"
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32 if name == "secret_key" else 15) + "\n")
        unfinished.rename(folder / name)


def stamp(folder: Path) -> str:
    """What the metadata is made from."""
    digest = hashlib.sha256(version("apache-superset").encode())
    for file in [Path(__file__), *sorted(folder.rglob("*.yaml"))]:
        digest.update(f"\0{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def read_stamp(uri: str) -> str | None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    with engine.connect() as connection:
        if "tillflow_set_up" not in sqlalchemy.inspect(engine).get_table_names():
            return None
        return connection.execute(sqlalchemy.text("SELECT stamp FROM tillflow_set_up")).scalar()


def write_stamp(uri: str, wanted: str) -> None:
    import sqlalchemy

    with sqlalchemy.create_engine(uri).begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE IF NOT EXISTS tillflow_set_up (stamp VARCHAR(64) NOT NULL)"))
        connection.execute(sqlalchemy.text("DELETE FROM tillflow_set_up"))
        connection.execute(sqlalchemy.text("INSERT INTO tillflow_set_up VALUES (:stamp)"), {"stamp": wanted})


def start_over_if_half_made(uri: str) -> None:
    """MySQL and MariaDB keep the tables of an upgrade that was stopped, and it cannot go on from them. Where nobody was ever added,
    nothing is lost by making them anew."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    with engine.connect() as connection:
        tables = sqlalchemy.inspect(engine).get_table_names()
        if not tables or "ab_user" in tables and connection.execute(sqlalchemy.text("SELECT count(*) FROM ab_user")).scalar():
            return
    if engine.dialect.name == "sqlite":
        # Its upgrade is made in a file of its own, which is renamed when it is whole.
        return
    print("making half-made metadata anew", flush=True)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("SET FOREIGN_KEY_CHECKS = 0"))
        for name, kind in connection.execute(sqlalchemy.text("SHOW FULL TABLES")).fetchall():
            what = {"SEQUENCE": "SEQUENCE", "VIEW": "VIEW"}.get(kind, "TABLE")
            connection.execute(sqlalchemy.text(f"DROP {what} `{name}`"))


def upgrade_schema() -> None:
    """As `superset db upgrade` and `superset init` do, in one process."""
    from flask_migrate import upgrade
    from superset import appbuilder, db, security_manager

    upgrade()
    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    db.session.commit()


def add_users() -> None:
    """An administrator, and somebody who looks. A password that was changed since stays."""
    import superset_config
    from superset import db, security_manager

    security_manager.add_role("Viewer")
    db.session.commit()
    for name, role in (("admin", "Admin"), ("viewer", "Viewer")):
        if security_manager.find_user(name) is None:
            password = superset_config.secret(f"{name}_password")
            found = security_manager.find_role(role)
            if not security_manager.add_user(name, name.capitalize(), "Tillflow", f"{name}@localhost", found, password=password):
                raise SystemExit(f"failed to add the user {name}")
    db.session.commit()


def import_assets(folder: Path) -> None:
    """Imports what the folder holds over what is there by the same UUIDs, so that ids, and what people attached to them, stay."""
    from superset import db, security_manager
    from superset.commands.importers.v1.assets import ImportAssetsCommand
    from superset.utils.core import override_user

    contents = {str(file.relative_to(folder)): file.read_text(encoding="utf-8") for file in sorted(folder.rglob("*.yaml"))}
    with override_user(security_manager.find_user("admin")):
        ImportAssetsCommand(contents).run()
        remove_retired(contents)
    allow_viewers(contents)
    db.session.commit()


def remove_retired(contents: dict[str, str]) -> None:
    """Charts of ours that are on no dashboard any more, because a newer import left them out."""
    import yaml
    from superset import db
    from superset.models.slice import Slice

    ours = {yaml.safe_load(text)["uuid"] for path, text in contents.items() if path.startswith("charts/")}
    for chart in db.session.query(Slice).filter(Slice.certified_by == "Tillflow"):
        if str(chart.uuid) not in ours and not chart.dashboards:
            db.session.delete(chart)


def allow_viewers(contents: dict[str, str]) -> None:
    """Viewer: what Gamma may, less what it may write, and our datasets."""
    import yaml
    from superset import db, security_manager
    from superset.connectors.sqla.models import SqlaTable

    gamma, viewer = security_manager.find_role("Gamma"), security_manager.find_role("Viewer")
    allowed = [
        permission
        for permission in gamma.permissions
        if not permission.permission.name.startswith(("can_write", "can_delete", "can_add", "can_edit", "can_import"))
        or permission.view_menu.name in STILL_WRITTEN
    ]
    for path, text in contents.items():
        if path.startswith("datasets/"):
            dataset = db.session.query(SqlaTable).filter_by(uuid=yaml.safe_load(text)["uuid"]).one()
            allowed.append(security_manager.add_permission_view_menu("datasource_access", dataset.get_perm()))
    viewer.permissions = allowed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
