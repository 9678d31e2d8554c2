"""The images, as far as they can be tried without a container engine: each step of the Dockerfile in folders of the test's own.

The paths that the Dockerfile uses are moved below one folder; the base image is this machine's Python.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINNED_BASE = re.compile(r"python:3\.\d+\.\d+-slim-\w+")
MOVED = re.compile(r"(?<![\w.])/(opt|src)\b")


@dataclass
class Stage:
    """One FROM, and its instructions."""

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        """The last of an instruction."""
        return [rest for name, rest in self.steps if name == instruction][-1]


def stages() -> dict[str, Stage]:
    """The Dockerfile's stages by name."""
    found: dict[str, Stage] = {}
    defaults: dict[str, str] = {}
    for instruction, rest in _instructions():
        if instruction == "ARG" and not found:
            name, _, default = rest.partition("=")
            defaults[f"${name}"] = default
        elif instruction == "FROM":
            base, _, name = rest.split()
            found[name] = current = Stage(defaults.get(base, base))
        else:
            current.steps.append((instruction, rest))
    return found


def _instructions() -> Iterator[tuple[str, str]]:
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line and not line.startswith("#"):
            instruction, rest = line.split(maxsplit=1)
            yield instruction, rest


STAGES = stages()


@pytest.mark.parametrize("image", ["services", "node"])
def test_an_image_is_pinned_has_no_root_and_copies_only_what_was_installed(image: str) -> None:
    assert [stage.base for stage in STAGES.values() if stage.base not in STAGES] == [STAGES["base"].base]
    assert PINNED_BASE.fullmatch(STAGES["base"].base)
    assert STAGES[image].last("USER").split(":")[0] not in ("root", "0")
    copied = [rest for name, rest in STAGES[image].steps if name == "COPY"]
    assert copied == [f"--from={image}-installed /opt/tapwire /opt/tapwire"]


def test_each_installation_is_by_hashes() -> None:
    installs = [rest for stage in STAGES.values() for name, rest in stage.steps if name == "RUN" and "-r requirements" in rest]

    assert len(installs) == 4
    assert all("--require-hashes" in install for install in installs)


def test_one_command_pins_every_image_by_its_digest_and_keeps_what_else_is_set(tmp_path: Path) -> None:
    for part in ("deploy/pin-images.sh", "compose.yaml"):
        copy(ROOT / part, tmp_path / part)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\necho "sha256:of-$4"\n')
    docker.chmod(0o755)
    (tmp_path / ".env").write_text("TAPWIRE_HOST=venue.example\nTAPWIRE_GRAFANA_IMAGE=grafana/grafana:1@sha256:old\n")
    pin = [str(tmp_path / "deploy" / "pin-images.sh")]

    pinned = subprocess.run(pin, env={"PATH": f"{docker.parent}:{os.defpath}"}, capture_output=True, text=True, check=False)
    variables = (tmp_path / ".env").read_text().splitlines()
    docker.write_text("#!/bin/sh\necho nonsense\n")
    refused = subprocess.run(pin, env={"PATH": f"{docker.parent}:{os.defpath}"}, capture_output=True, text=True, check=False)

    assert pinned.returncode == 0, pinned.stderr
    assert variables[0] == "TAPWIRE_HOST=venue.example"
    assert {line.split("=")[0] for line in variables[1:]} == {
        f"TAPWIRE_{name}_IMAGE" for name in ("POSTGRES", "MOSQUITTO", "PROMETHEUS", "GRAFANA", "PYTHON")
    }
    base = STAGES["base"].base
    assert f"TAPWIRE_PYTHON_IMAGE={base}@sha256:of-{base}" in variables, "the Dockerfile's own"
    assert (refused.returncode, (tmp_path / ".env").read_text().splitlines()) == (1, variables)


@pytest.mark.slow
@pytest.mark.parametrize(("image", "programs"), [("services", ["tapwire-core", "tapwire-admin"]), ("node", ["tapwire-node"])])
def test_an_image_installs_and_its_programs_run(image: str, programs: list[str], tmp_path: Path) -> None:
    build(image, tmp_path)

    started = json.loads(STAGES[image].last("CMD"))
    assert started[0] in programs
    for program in programs:
        shown = run([tmp_path / "opt/tapwire/bin" / program, "--help"], tmp_path)
        assert "run" in shown
    if image == "services":
        assert list((tmp_path / "opt/tapwire").glob("lib/*/site-packages/tapwire_core/db/sql/functions/*.sql"))
        nothing = subprocess.run(
            [tmp_path / "opt/tapwire/bin" / started[0], *started[1:]],
            env={"PATH": os.defpath},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (nothing.returncode, "TAPWIRE_DATABASE_URL" in nothing.stderr) == (1, True)


def build(image: str, root: Path) -> None:
    """Do what the stages that an image needs say."""
    folder = root
    for instruction, rest in (step for name in ("wheels", f"{image}-installed") for step in STAGES[name].steps):
        match instruction:
            case "WORKDIR":
                folder = Path(moved(rest, root))
                folder.mkdir(parents=True, exist_ok=True)
            case "COPY" if not rest.startswith("--from"):
                source, target = rest.split()
                copy(ROOT / source, folder / target)
            case "RUN":
                run(["sh", "-c", moved(rest, root)], folder)


def copy(source: Path, target: Path) -> None:
    """One COPY of the build's context."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "vendor"), dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def moved(command: str, root: Path) -> str:
    """A command with its absolute folders below another root."""
    return MOVED.sub(lambda match: f"{shlex.quote(str(root))}/{match.group(1)}", command)


def run(command: list[str | Path], folder: Path) -> str:
    """Run a step in a clean environment; only what tells pip where packages are is kept."""
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME") or name.startswith(("PIP_", "SSL_", "HTTP"))
    }
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout
