"""Loading lgpio, with a module in its place that behaves at its import as lgpio does: it goes to LG_WD, and opens a pipe there."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tapwire_node.hardware.pin_libraries import PinsUnavailable, load_lgpio, opening_pins

UNWRITABLE: Final = Path("/proc")
"""A folder in which not even root can make a file."""
LGPIO: Final = """
import os
folder = os.environ.get("LG_WD", os.getcwd())
os.chdir(folder)
os.mkfifo(".lgd-nfy0")
pipe = os.open(".lgd-nfy0", os.O_RDWR | os.O_NONBLOCK)
class error(Exception): ...
"""


@pytest.fixture
def lgpio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Such a module on the path, not loaded yet."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "lgpio.py").write_text(LGPIO)
    monkeypatch.syspath_prepend(tmp_path / "library")
    for variable in ("LG_WD", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.delitem(sys.modules, "lgpio", raising=False)
    yield
    if "lgpio" in sys.modules:
        os.close(sys.modules.pop("lgpio").pipe)


@pytest.mark.usefixtures("lgpio")
@pytest.mark.parametrize("variable", ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "TMPDIR"])
def test_lgpio_gets_a_folder_of_its_own_and_leaves_nothing_behind(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv(variable, str(runtime))
    monkeypatch.chdir(UNWRITABLE)

    load_lgpio()

    assert Path(sys.modules["lgpio"].folder).parent == runtime
    assert (Path.cwd(), list(runtime.iterdir())) == (UNWRITABLE, [])


@pytest.mark.usefixtures("lgpio")
def test_a_folder_that_the_user_named_is_named_still_but_no_pipe_is_shared_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("LG_WD", str(shared))

    load_lgpio()

    assert (os.environ["LG_WD"], list(shared.iterdir())) == (str(shared), [])


@pytest.mark.usefixtures("lgpio")
def test_without_any_folder_that_can_be_written_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(UNWRITABLE))

    with pytest.raises(PinsUnavailable, match="set TMPDIR to one that can be written"), opening_pins():
        pytest.fail("the pins can't be opened")


@pytest.mark.usefixtures("lgpio")
def test_what_lgpio_itself_raises_is_told_like_what_gpiozero_raises() -> None:
    with pytest.raises(PinsUnavailable, match="GPIO busy"), opening_pins():
        raise sys.modules["lgpio"].error("GPIO busy")
