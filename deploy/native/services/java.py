"""Which Java runs Kafka and Cassandra."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from services.settings import StackError

# Cassandra 5.0 runs on 11 and 17 only (its options name packages that later ones closed), Kafka 4 needs 17 or newer.
VERSION = 17
HINT = f"Kafka and Cassandra need Java {VERSION} (Debian: apt-get install openjdk-{VERSION}-jre-headless); JAVA_HOME chooses one"


def program() -> str:
    """JAVA_HOME's java, or the one on the PATH."""
    home = os.environ.get("JAVA_HOME")
    found = os.path.join(home, "bin", "java") if home else shutil.which("java")
    if not found or not os.access(found, os.X_OK):
        raise StackError(f"there is no java {'in JAVA_HOME, ' + home if home else 'on the PATH'}. {HINT}")
    return found


def check() -> None:
    """Refuses a Java of another version, which would end in a stack trace of the node's."""
    java = program()
    done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30)
    version = parse_version(done.stderr + done.stdout)
    if version != VERSION:
        raise StackError(f"{java} is Java {version or 'of an unknown version'}. {HINT}")


def parse_version(text: str) -> int | None:
    """The feature release in what `java -version` prints."""
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(match[1]) if match else None
