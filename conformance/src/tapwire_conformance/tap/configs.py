"""A tap's config: CONTRACT.md, "Core → node"."""

from typing import Final

from tapwire_conformance.rules import CORE_TO_NODE, TAP_NODE, Broken, Catalogue
from tapwire_conformance.tap.stage import CARD, TapStage

RULES: Final[Catalogue[TapStage]] = Catalogue()
SPOILED: Final = (b"{", b'{"type":"tap_config"}', b'{"type":"tap_config","status":"active","revision":"next"}', b"[" * 5_000)


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
        confirmed(stage, revision)
        refuses(stage, status)


@RULES.must("CONFIG-3", CORE_TO_NODE)
def old_revision(stage: TapStage) -> None:
    """A `revision` below the applied one is ignored: it does not bring a locked tap back into service."""
    revision = stage.configure(status="locked")
    confirmed(stage, revision)
    stage.configure(revision=revision - 1)
    refuses(stage, "locked, with an older config that is active")


@RULES.must("CONFIG-4", CORE_TO_NODE)
def old_but_closed(stage: TapStage) -> None:
    """A status other than `active` is always obeyed, also under an older `revision`."""
    confirmed(stage, stage.configure())
    mark = stage.mark
    stage.configure(status="locked", revision=stage.revision - 1)
    stage.hear("node_state", mark, phase="OUT_OF_SERVICE")
    refuses(stage, "locked under an older revision")


@RULES.must("CONFIG-5", TAP_NODE)
def unreadable(stage: TapStage) -> None:
    """A config that can't be read leaves the valve closed, until one comes that can be."""
    for spoiled in SPOILED:
        stage.raw_config(spoiled)
        refuses(stage, f"under the unreadable config {spoiled[:80]!r}")
        confirmed(stage, stage.configure())
    grant = stage.pour(max_volume_ml=stage.settings.pour_ml)
    stage.act(f"pour {stage.settings.pour_ml}")
    stage.report(grant)


def confirmed(stage: TapStage, revision: int) -> None:
    """Wait until the state names this revision; raises `Broken`."""
    stage.until(lambda: stage.state()["config_revision"] == revision, f"it did not confirm the config {revision}")


def refuses(stage: TapStage, why: str) -> None:
    """A card must be refused: nothing is asked, and nothing opens. Raises `Broken`."""
    mark = stage.mark
    stage.stays_closed(mark)  # the config and the card come on different ways
    stage.act(f"card-on {CARD}")
    stage.stays_closed(mark)
    for asked in stage.all("card_presented", mark):
        raise Broken(f"while the tap was {why} it asked {asked}")
    stage.act("card-off")
    stage.until(lambda: stage.state()["card"] is None, "the card that was taken off stayed in its state")
