"""A Docker engine of the test's own, with compose 2, and a base image made from a Debian root file system: no registry of images.

An engine of the machine's is left alone: the stack has the names of an installation's images and volumes, which may be there.
"""

import contextlib
import fcntl
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SUITE: Final = "trixie"
"""The base image's Debian, which has PostgreSQL 17 and Python 3.13; compose 2 comes from it too where the machine has none."""
BARE: Final = "debian:tapwire-test"
PACKAGES: Final = (
    "ca-certificates",
    "make",
    "mosquitto",
    "mosquitto-clients",
    "openssl",
    "postgresql",
    "python3",
    "python3-venv",
    "systemd-sysv",
)
NEEDED: Final[Mapping[str, str]] = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "ip": "iproute2",
}
"""Programs, and the Debian package of each."""
STARTS_WITHIN_S: Final = 60
TRUST: Final = Path("/etc/ssl/certs/ca-certificates.crt")
CARRIED: Final = (str(TRUST).lstrip("/"), "etc/pip.conf", "root/.config/pip/pip.conf", "root/.npmrc")
"""The machine's authorities, and the settings by which pip and npm find packages; the images' builds need them too."""
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/17/bin"
USER: Final = 10001
"""As `deploy/prepare.sh` has it for root. The registry's images know any user; Debian's programs want it in /etc/passwd."""
ENTRYPOINT: Final = """#!/bin/bash
# Makes a new database of POSTGRES_* and /docker-entrypoint-initdb.d, then runs the server, as the image of PostgreSQL does.
set -euo pipefail
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --encoding=UTF8 --locale=C.UTF-8 \\
        --auth-local=trust --auth-host=scram-sha-256
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
    createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
    for file in /docker-entrypoint-initdb.d/*.sh; do . "$file"; done
    pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec "$@"
"""


class NoEngine(Exception):
    """This machine can't run the test's engine; the text says why, and what to install."""


@dataclass(frozen=True)
class Engine:
    """A running engine, by the environment in which `docker` finds it."""

    environment: dict[str, str] = field(repr=False)

    def run(self, *command: object, cwd: Path | None = None, within_s: float = 120) -> str:
        """Run a program; its output. A failure raises `AssertionError` with all it said."""
        arguments = [str(part) for part in command]
        ended = subprocess.run(
            arguments, cwd=cwd, env=self.environment, capture_output=True, text=True, check=False, timeout=within_s
        )
        assert ended.returncode == 0, (
            f"{' '.join(arguments)}: exit {ended.returncode}\n{ended.stdout[-4000:]}\n{ended.stderr[-4000:]}"
        )
        return ended.stdout


@contextmanager
def docker_engine(folder: Path, images: Sequence[str]) -> Iterator[Engine]:
    """Run an engine with these names of the base image until the block ends; raises `NoEngine`.

    The blocks of several processes with one folder share it: the first starts it, the last to end stops it. The kernel takes a
    process's lock from it however it ends, so that none waits for one that is gone.
    """
    _require()
    folder.mkdir(exist_ok=True)
    with (folder / "door").open("w") as door, (folder / "users").open("w") as users:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        running = _running(folder) or _start(folder, images)
        fcntl.flock(door, fcntl.LOCK_UN)
        try:
            yield running.engine
        finally:
            fcntl.flock(door, fcntl.LOCK_EX)
            with contextlib.suppress(BlockingIOError):  # others go on
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                running.stop()


@dataclass(frozen=True)
class RunningEngine:
    """The engine's process, which may be another test process's child."""

    engine: Engine
    pid: int
    place: Path
    had_bridge: bool

    def stop(self) -> None:
        """End it, and delete its networks, images and containers."""
        bridges = self._bridges()
        with contextlib.suppress(ProcessLookupError):
            process = os.pidfd_open(self.pid)
            os.kill(self.pid, signal.SIGTERM)
            if not select.select([process], [], [], STARTS_WITHIN_S)[0]:
                os.killpg(self.pid, signal.SIGKILL)
            os.close(process)
        for bridge in bridges:
            subprocess.run(["ip", "link", "delete", bridge], capture_output=True, check=False)
        # a mount of the engine's may take its time to go, so that this may fail; it is faster than Python's own
        subprocess.run(["rm", "-rf", self.place], capture_output=True, check=False)

    def _bridges(self) -> list[str]:
        """The bridges that it made, which outlive it."""
        asked = ["docker", "network", "ls", "--quiet", "--filter", "driver=bridge", "--filter", "type=custom"]
        listed = subprocess.run(asked, env=self.engine.environment, capture_output=True, text=True, check=False)
        return [f"br-{network}" for network in listed.stdout.split()] + ([] if self.had_bridge else ["docker0"])


def _running(folder: Path) -> RunningEngine | None:
    record = folder / "engine.json"
    if not record.exists():
        return None
    recorded = json.loads(record.read_text())
    place = Path(recorded["place"])
    if not (place / "socket").exists():  # stopped by its last user
        return None
    return RunningEngine(Engine(_environment(place)), recorded["pid"], place, recorded["had_bridge"])


def _start(folder: Path, images: Sequence[str]) -> RunningEngine:
    place = Path(tempfile.mkdtemp(prefix="tapwire-docker-"))
    had_bridge = Path("/sys/class/net/docker0").exists()
    engine = Engine(_environment(place))
    places = {"--data-root": "data", "--exec-root": "exec", "--pidfile": "pid"}
    options = [part for option, name in places.items() for part in (option, str(place / name))]
    with (place / "log").open("w") as log:
        daemon = subprocess.Popen(
            ["dockerd", "--host", engine.environment["DOCKER_HOST"], *options], stdout=log, stderr=log, start_new_session=True
        )
    running = RunningEngine(engine, daemon.pid, place, had_bridge)
    try:
        _await_start(engine, daemon, place / "log")
        _install_compose(engine, place)
        import_base(engine, images)
    except BaseException:
        running.stop()
        raise
    (folder / "engine.json").write_text(json.dumps({"pid": daemon.pid, "place": str(place), "had_bridge": had_bridge}))
    return running


def _environment(place: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("TAPWIRE_", "COMPOSE_", "DOCKER_"))},
        "DOCKER_HOST": f"unix://{place}/socket",
        "DOCKER_CONFIG": str(place / "config"),
        "DOCKER_BUILDKIT": "1",
    }


def import_base(engine: Engine, names: Sequence[str]) -> None:
    """Make a Debian root file system with all that the images of other makes have, and import it under these names."""
    with tempfile.TemporaryDirectory(prefix="tapwire-root-") as made:
        root = Path(made)
        engine.run("debootstrap", "--variant=minbase", SUITE, root, _mirror(), within_s=300)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        shutil.copytree("/etc/apt/apt.conf.d", root / "etc/apt/apt.conf.d", dirs_exist_ok=True)
        # no service starts, and no database of Debian's own is made, while packages are installed
        _write(root / "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
        _write(root / "etc/postgresql-common/createcluster.conf", "create_main_cluster = false\n")
        _write(root / "etc/dpkg/dpkg.cfg.d/unsafe-io", "force-unsafe-io\n")  # need not outlive a power cut
        chrooted = ["chroot", root, "env", "DEBIAN_FRONTEND=noninteractive", f"PATH={PATH}"]
        engine.run(*chrooted, "apt-get", "update", "-qq", within_s=120)
        engine.run(*chrooted, "apt-get", "install", "-qq", "--no-install-recommends", *PACKAGES, within_s=300)
        engine.run(*chrooted, "apt-get", "clean")
        _carry_settings(root)
        (sample,) = root.glob("usr/share/postgresql/*/postgresql.conf.sample")
        with sample.open("a") as defaults:
            defaults.write("listen_addresses = '*'\n")
        _write(root / "usr/local/bin/docker-entrypoint.sh", ENTRYPOINT)
        with (root / "etc/passwd").open("a") as users:
            users.write(f"tapwire:x:{USER}:{USER}::/var/lib/postgresql:/usr/sbin/nologin\n")
        for folder in ("var/lib/postgresql", "run/postgresql"):
            (root / folder).mkdir(exist_ok=True)
            (root / folder).chmod(0o1777)
        archive = subprocess.Popen(["tar", "-C", root, "--one-file-system", "-c", "."], stdout=subprocess.PIPE)
        settings = ["--change", f"ENV PATH={PATH} NODE_EXTRA_CA_CERTS={TRUST}"]
        imported = subprocess.run(
            ["docker", "import", *settings, "-", names[0]],
            stdin=archive.stdout,
            env=engine.environment,
            capture_output=True,
            check=False,
        )
        assert (archive.wait(), imported.returncode) == (0, 0), imported.stderr.decode()
    for name in names[1:]:
        engine.run("docker", "tag", names[0], name)


def _require() -> None:
    if os.geteuid() != 0:
        raise NoEngine("the test's Docker engine needs root")
    missing = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    if missing:
        raise NoEngine(f"apt-get install {' '.join(dict.fromkeys(missing))}")
    if subprocess.run(["docker", "ps", "--all", "--quiet"], capture_output=True, check=False).stdout:
        raise NoEngine("a Docker engine runs here already and has containers, perhaps those of a venue: stop it first")


def _await_start(engine: Engine, daemon: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while subprocess.run(["docker", "info"], env=engine.environment, capture_output=True, check=False).returncode != 0:
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise NoEngine(f"dockerd does not start here:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)


def _install_compose(engine: Engine, folder: Path) -> None:
    """Fetch compose 2 from Debian, without changing the machine's packages, where docker has none."""
    found = subprocess.run(["docker", "compose", "version"], env=engine.environment, capture_output=True, check=False)
    if found.returncode == 0:
        return
    apt = folder / "apt"
    for made in ("lists/partial", "cache/archives/partial", "parts"):
        (apt / made).mkdir(parents=True)
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (apt / "sources.list").write_text(f"deb [signed-by={keys}] {_mirror()} {SUITE} main\n")
    (apt / "status").touch()
    options = {
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": apt / "parts",
        "Dir::State::Lists": apt / "lists",
        "Dir::State::Status": apt / "status",
        "Dir::Cache": apt / "cache",
        "APT::Sandbox::User": "root",
    }
    apt_get = ["apt-get", "-qq", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]
    engine.run(*apt_get, "update")
    engine.run(*apt_get, "download", "docker-compose", cwd=apt)
    (package,) = apt.glob("docker-compose_*.deb")
    engine.run("dpkg-deb", "--extract", package, apt / "files")
    plugins = folder / "config" / "cli-plugins"
    plugins.mkdir(parents=True)
    shutil.copy(next((apt / "files").rglob("cli-plugins/docker-compose")), plugins)
    engine.run("docker", "compose", "version")


def _mirror() -> str:
    """The Debian archive that this machine's apt uses."""
    listed = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    lines = "\n".join(file.read_text() for file in listed if file.is_file())
    found = re.findall(r"^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+/debian)/?(?:\s|$)", lines, re.MULTILINE)
    if not found:
        raise NoEngine("this machine's apt names no Debian archive")
    return str(found[0])


def _carry_settings(root: Path) -> None:
    for name in CARRIED:
        if (Path("/") / name).exists():
            _write(root / name, (Path("/") / name).read_text())


def _write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    file.chmod(0o755)
