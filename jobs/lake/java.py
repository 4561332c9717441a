"""Which Java runs our services, and whether it may.

Spark 4.2 wants 17 or 21; 25.0.0–25.0.2 corrupt zstd data; a trimmed runtime lacks the vector module Spark asks for.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jobs.lake.errors import SettingsError

GOOD_MAJORS = (17, 21)
ZSTD_CORRUPTING = ((25, 0, 0), (25, 0, 1), (25, 0, 2))
VECTOR_MODULE = "jdk.incubator.vector"
REMEDY = "install a full Java 17 or 21 (Debian: apt-get install openjdk-17-jre-headless) or set JAVA_HOME to one"


@dataclass(frozen=True)
class Java:
    """A Java as found: its command, its version as three numbers, and the names of its modules."""

    command: Path
    version: tuple[int, int, int]
    modules: frozenset[str]

    @property
    def home(self) -> Path:
        """The folder to hand on as JAVA_HOME."""
        return self.command.resolve().parents[1]

    @property
    def written_version(self) -> str:
        """The version as people write it."""
        return ".".join(str(part) for part in self.version)


def java_command() -> Path | None:
    """`$JAVA_HOME/bin/java` when JAVA_HOME is set, else the first `java` on PATH."""
    home = os.environ.get("JAVA_HOME")
    if home:
        command = Path(home) / "bin" / "java"
        return command if command.is_file() else None
    found = shutil.which("java")
    return Path(found) if found else None


def parse_version(text: str) -> tuple[int, int, int]:
    """`17.0.15` out of `java -version`'s words; old `1.8.0_402` counts as 8.0.402."""
    quoted = re.search(r'version "([^"]+)"', text)
    if not quoted:
        raise SettingsError(f"cannot read a version from `java -version`: {text.strip()[:80]!r}; {REMEDY}")
    numbers = [int(part) for part in re.findall(r"\d+", quoted[1].split("-")[0].split("+")[0])]
    if numbers[0] == 1 and len(numbers) > 1:
        numbers = numbers[1:]
    major, minor, patch = [*numbers, 0, 0][:3]
    return major, minor, patch


@cache
def find_java() -> Java:
    """Ask the Java in use who it is; a SettingsError says what to install when there is none."""
    command = java_command()
    if command is None:
        where = "in JAVA_HOME" if os.environ.get("JAVA_HOME") else "on PATH"
        raise SettingsError(f"no Java {where}; {REMEDY}")
    version = subprocess.run([command, "-version"], capture_output=True, text=True, check=False).stderr
    modules = subprocess.run([command, "--list-modules"], capture_output=True, text=True, check=False).stdout
    return Java(command, parse_version(version), frozenset(line.split("@")[0] for line in modules.split()))


def complaint(java: Java) -> str | None:
    """Why this Java may not run Spark and Kafka, or None when it may."""
    if java.version in ZSTD_CORRUPTING:
        return f"Java {java.written_version} corrupts zstd-compressed data (mended in 25.0.3)"
    if java.version[0] < GOOD_MAJORS[0]:
        return f"Java {java.written_version} is too old for Spark 4.2"
    if VECTOR_MODULE not in java.modules:
        return f"this Java is a trimmed one: module {VECTOR_MODULE}, which Spark asks for, is missing"
    return None


def good_java() -> Java:
    """The Java to run services with; a SettingsError when it is none that may."""
    java = find_java()
    reason = complaint(java)
    if reason:
        raise SettingsError(f"{java.command}: {reason}; {REMEDY}")
    return java
