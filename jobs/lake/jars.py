"""The jars beside our Python: an allow-list with checksums, fetched by the Ivy that pyspark carries.

`python -m jobs.lake.jars` brings `.jars/` in step with `infra/locks/jars.txt`; nothing but Java is needed, and what the
caches of Ivy or Maven hold is not downloaded again.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from jobs.lake.errors import ReelhouseError, SettingsError
from jobs.lake.java import find_java
from jobs.lake.settings import ROOT, Settings

LOCK = ROOT / "infra" / "locks" / "jars.txt"
SYSTEM_TRUSTSTORE = Path("/etc/ssl/certs/java/cacerts")  # Debian's: holds the machine's own authorities too


@dataclass(frozen=True)
class Jar:
    """One line of the allow-list: the checksum, the folder it belongs in, and Maven's three names."""

    sha256: str
    folder: str
    organisation: str
    name: str
    revision: str

    @property
    def file_name(self) -> str:
        """How the jar is called in its folder."""
        return f"{self.name}-{self.revision}.jar"

    def path(self, jars_dir: Path) -> Path:
        """Where the jar lies."""
        return jars_dir / self.folder / self.file_name

    def is_right(self, path: Path) -> bool:
        """Say whether `path` holds exactly this jar."""
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


def allowed_jars(lock: Path = LOCK) -> tuple[Jar, ...]:
    """Read the allow-list; a line is `sha256 folder organisation:name:revision`."""
    return tuple(
        _parse_line(line, f"{lock}:{number}")
        for number, line in enumerate(lock.read_text().splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    )


def _parse_line(line: str, place: str) -> Jar:
    words = line.split()
    names = words[2].split(":") if len(words) == 3 else []
    if len(names) != 3 or len(words[0]) != 64:
        raise SettingsError(f"{place}: write `sha256 folder organisation:name:revision`")
    return Jar(words[0], words[1], *names)


def wrong_jars(jars_dir: Path, lock: Path = LOCK) -> list[Jar]:
    """The jars of the allow-list that are missing or not what the checksum says."""
    return [jar for jar in allowed_jars(lock) if not jar.is_right(jar.path(jars_dir))]


def fetch(jars_dir: Path, lock: Path = LOCK) -> list[Jar]:
    """Bring `jars_dir` in step with the list and return what was fetched; safe to interrupt and to run again."""
    wanted = wrong_jars(jars_dir, lock)
    absent = [jar for jar in wanted if not _take(jar, _in_maven_cache(jar), jars_dir)]
    if absent:
        with tempfile.TemporaryDirectory(prefix="reelhouse-jars-") as scratch:
            _retrieve(absent, Path(scratch))
            bad = [jar for jar in absent if not _take(jar, jar.path(Path(scratch)), jars_dir)]
        if bad:
            names = ", ".join(jar.file_name for jar in bad)
            raise ReelhouseError(f"{names}: not what {lock.name} promises; clear it from ~/.ivy2/cache and try again")
    _remove_strangers(jars_dir, allowed_jars(lock))
    return wanted


def _take(jar: Jar, source: Path, jars_dir: Path) -> bool:
    """Copy a jar into its place in one step, if `source` is the right one."""
    if not jar.is_right(source):
        return False
    target = jar.path(jars_dir)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f".{os.getpid()}.part")
    shutil.copyfile(source, part)
    part.replace(target)
    return True


def _in_maven_cache(jar: Jar) -> Path:
    repository = Path.home() / ".m2" / "repository"
    return repository.joinpath(*jar.organisation.split("."), jar.name, jar.revision, jar.file_name)


def _remove_strangers(jars_dir: Path, allowed: Iterable[Jar]) -> None:
    """Every jar in the folders is on a class path, so one of an older list must go."""
    known = {jar.path(jars_dir) for jar in allowed}
    for path in {*jars_dir.glob("*/*.jar"), *jars_dir.glob("*/*.part")} - known:
        path.unlink(missing_ok=True)


def _retrieve(jars: list[Jar], scratch: Path) -> None:
    """Let Ivy fetch exactly these jars into `<scratch>/<folder>/`, none of their dependencies."""
    folders = sorted({jar.folder for jar in jars})
    _write_ivy(jars, folders, scratch / "ivy.xml")
    pattern = f"{scratch}/[conf]/[artifact]-[revision].[ext]"
    asked = ["-ivy", str(scratch / "ivy.xml"), "-retrieve", pattern, "-types", "jar", "bundle", "-confs", *folders]
    command = [str(find_java().command), *_network_options(), "-jar", str(_ivy_jar()), *_settings(scratch), *asked]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise ReelhouseError(f"Ivy could not fetch {len(jars)} jars; is the registry reachable?\n{done.stdout[-2000:]}")


def _write_ivy(jars: list[Jar], folders: list[str], path: Path) -> None:
    """Name the jars for Ivy; one configuration a folder, for two folders may hold two revisions of one jar."""
    ivy = ET.Element("ivy-module", version="2.0")
    ET.SubElement(ivy, "info", organisation="reelhouse", module="jars")
    configurations = ET.SubElement(ivy, "configurations")
    for folder in folders:
        ET.SubElement(configurations, "conf", name=folder)
    dependencies = ET.SubElement(ivy, "dependencies")
    for jar in jars:
        names = {"org": jar.organisation, "name": jar.name, "rev": jar.revision}
        ET.SubElement(dependencies, "dependency", {**names, "conf": f"{jar.folder}->master", "transitive": "false"})
    ET.ElementTree(ivy).write(path)


def _ivy_jar() -> Path:
    import pyspark

    found = sorted((Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar"))
    if not found:
        raise ReelhouseError("pyspark carries no ivy-*.jar; run `make setup` again")
    return found[-1]


def _network_options() -> list[str]:
    """Proxy and certificates as the machine has them; Java reads neither of the usual variables by itself."""
    options = []
    for scheme, address in getproxies().items():
        proxy = urlsplit(address if "//" in address else f"//{address}")
        if scheme in ("http", "https") and proxy.hostname:
            options += [f"-D{scheme}.proxyHost={proxy.hostname}", f"-D{scheme}.proxyPort={proxy.port or 80}"]
    if SYSTEM_TRUSTSTORE.is_file() and "trustStore" not in os.environ.get("JAVA_TOOL_OPTIONS", ""):
        options.append(f"-Djavax.net.ssl.trustStore={SYSTEM_TRUSTSTORE}")
    return options


def _settings(scratch: Path) -> list[str]:
    """The machine's own Ivy settings, else the mirror its Maven uses, else what Ivy thinks best."""
    own = Path(os.environ.get("IVY_SETTINGS", Path.home() / ".ivy2" / "ivysettings.xml"))
    if own.is_file():
        return ["-settings", str(own)]
    mirror = _maven_mirror(Path.home() / ".m2" / "settings.xml")
    if not mirror:
        return []
    settings = ET.Element("ivysettings")
    ET.SubElement(settings, "settings", defaultResolver="mirror")
    ET.SubElement(ET.SubElement(settings, "resolvers"), "ibiblio", name="mirror", m2compatible="true", root=mirror)
    ET.ElementTree(settings).write(scratch / "ivysettings.xml")
    return ["-settings", str(scratch / "ivysettings.xml")]


def _maven_mirror(settings: Path) -> str | None:
    """The address that stands in for Maven's central repository, if this machine names one."""
    if not settings.is_file():
        return None
    for mirror in ET.parse(settings).getroot().iterfind(".//{*}mirror"):
        of, url = mirror.findtext("{*}mirrorOf", ""), mirror.findtext("{*}url", "")
        if url and {"*", "external:*", "central"} & set(of.split(",")):
            return url
    return None


def main() -> None:
    """Fetch what is missing and say so in one line."""
    settings = Settings.from_env()
    try:
        fetched = fetch(settings.jars_dir)
    except ReelhouseError as error:
        sys.exit(f"jars: {error}")
    sys.stderr.write(f"jars: {len(fetched)} fetched, {len(allowed_jars())} in place under {settings.jars_dir}\n")


if __name__ == "__main__":
    main()
