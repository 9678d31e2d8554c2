"""The calibration's arithmetic, and its edit of tap.toml."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapwire_node.commands.calibrate import MeasuredPour, factor_of, spread_per_mille, write_factor
from tapwire_node.settings import InvalidSettings

TAP_TOML = """# the left tap
[tap]
path = "bar/taps/left"   # its place
pulses_per_liter = 450

[broker]
url = "mqtt://broker"
"""


@given(pulses=st.integers(0, 10_000_000), volume_ml=st.integers(50, 20_000))
def test_the_factor_is_pulses_per_litre_rounded_half_up(pulses: int, volume_ml: int) -> None:
    factor = factor_of(pulses, volume_ml)
    assert -volume_ml <= 2 * (pulses * 1_000 - factor * volume_ml) < volume_ml or pulses == 0


def test_the_spread_is_the_largest_difference_of_the_pours_factors() -> None:
    assert spread_per_mille([MeasuredPour(450, 1_000)] * 3) == 0
    assert spread_per_mille([MeasuredPour(450, 1_000), MeasuredPour(459, 1_000)]) == 20
    assert spread_per_mille([MeasuredPour(450, 1_000), MeasuredPour(460, 1_000)]) == 22


def test_only_the_factor_changes_in_the_file_and_its_mode_stays(tmp_path: Path) -> None:
    file = tmp_path / "tap.toml"
    file.write_text(TAP_TOML)
    file.chmod(0o640)

    write_factor(file, 462)

    assert file.read_text() == TAP_TOML.replace("450", "462")
    assert file.stat().st_mode & 0o777 == 0o640
    assert [found.name for found in tmp_path.iterdir()] == ["tap.toml"]


def test_a_factor_that_was_not_there_is_added_and_a_link_stays_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "left.toml", tmp_path / "tap.toml"
    file.write_text(TAP_TOML.replace("pulses_per_liter = 450\n", ""))
    link.symlink_to(file)

    write_factor(link, 462)

    assert link.is_symlink()
    assert "pulses_per_liter = 462" in file.read_text().split("[broker]")[0]


def test_a_tap_key_that_is_no_table_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    file = tmp_path / "tap.toml"
    file.write_text('tap.path = "bar/taps/left"\ntap = 3\n'.replace("tap.path", "path"))
    with pytest.raises(InvalidSettings):
        write_factor(file, 462)
    assert "462" not in file.read_text()
