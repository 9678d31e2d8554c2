"""A tap's config: CONTRACT.md, "Core → node"."""

from typing import Final

from tapwire_conformance.rules import CORE_TO_NODE, Broken, Catalogue
from tapwire_conformance.tap.stage import CARD, TapStage

RULES: Final[Catalogue[TapStage]] = Catalogue()


@RULES.must("CONFIG-1", CORE_TO_NODE)
def applied(stage: TapStage) -> None:
    """A new config is applied, and the state names its `revision`; fields that the node does not know are ignored."""
    mark = stage.mark
    revision = stage.configure(wallpaper="oak")
    stage.hear("node_state", mark, config_revision=revision)


@RULES.must("CONFIG-2", CORE_TO_NODE)
def not_active(stage: TapStage) -> None:
    """While the config is not `active`, no card opens the valve; a status that the node does not know is not `active`."""
    for status in ("locked", "cleaning", "emergency_stop", "resting"):
        revision = stage.configure(status=status)
        _confirmed(stage, revision)
        _refuses(stage, status)


@RULES.must("CONFIG-3", CORE_TO_NODE)
def old_revision(stage: TapStage) -> None:
    """A `revision` below the applied one is ignored: it does not bring a locked tap back into service."""
    revision = stage.configure(status="locked")
    _confirmed(stage, revision)
    stage.configure(revision=revision - 1)
    _refuses(stage, "locked, with an older config that is active")


@RULES.must("CONFIG-4", CORE_TO_NODE)
def old_but_closed(stage: TapStage) -> None:
    """A status other than `active` is always obeyed, also under an older `revision`."""
    _confirmed(stage, stage.configure())
    mark = stage.mark
    stage.configure(status="locked", revision=stage.revision - 1)
    stage.hear("node_state", mark, phase="OUT_OF_SERVICE")
    _refuses(stage, "locked under an older revision")


@RULES.must("CONFIG-5", CORE_TO_NODE)
def unreadable(stage: TapStage) -> None:
    """A config that can't be read changes nothing."""
    revision = stage.configure()
    _confirmed(stage, revision)
    for spoiled in (
        b"",
        b"{",
        b'{"type":"tap_config"}',
        b'{"type":"tap_config","status":"active","revision":"next"}',
        b"[" * 5_000,
    ):
        stage.raw_config(spoiled)
    grant = stage.pour(max_volume_ml=stage.settings.pour_ml)
    stage.act(f"pour {stage.settings.pour_ml}")
    stage.report(grant)
    if (found := stage.state()["config_revision"]) != revision:
        raise Broken(f"after unreadable configs its revision is {found}, and was {revision}")


def _confirmed(stage: TapStage, revision: int) -> None:
    stage.until(lambda: stage.state()["config_revision"] == revision, f"it did not confirm the config {revision}")


def _refuses(stage: TapStage, why: str) -> None:
    mark = stage.mark
    stage.act(f"card-on {CARD}")
    stage.stays_closed(mark)
    for asked in stage.all("card_presented", mark):
        raise Broken(f"while the tap was {why} it asked {asked}")
    stage.act("card-off")
    stage.until(lambda: stage.state()["card"] is None, "the card that was taken off stayed in its state")
