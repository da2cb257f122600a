"""Which scenarios of a folder run on a night, over which window, and why the others do not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from l2liq.chains.markets import Listing
from l2liq.errors import InputError, L2LiqError
from l2liq.lake import Lake
from l2liq.scenario.load import Loaded
from l2liq.scenario.quantities import When
from pipelines.nightly.days import DAY_S, Covered, end_s, shortfall
from pipelines.scenarios import prepare


@dataclass(frozen=True)
class Wanted:
    """One scenario of a night.

    Attributes
    ----------
    file : its file's name
    title : the scenario's name
    loaded : with the window it is to have; None where the file cannot be read
    why_not : why it cannot run, None where it can
    broken : the file itself is wrong, more logs would not help
    """

    file: str
    title: str
    loaded: Loaded | None
    why_not: str | None = None
    broken: bool = False


def wanted_on(
    lake: Lake, listing: Listing, folder: Path, found: Covered | None, night: date, days: int
) -> list[Wanted]:
    """Every scenario of a folder, by file name; ``found`` is None where the lake covers nothing.

    A scenario without a window gets the ``days`` complete UTC days that end with ``night``. One with a window keeps it;
    its open end is the end of the night.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. Name the folder of the scenarios under `scenarios`.")
    wanted: list[Wanted] = []
    market = listing.deployment.name if listing.origin == "registry" else listing.origin
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        try:
            scenarios = prepare(lake, path, market).scenarios
        except L2LiqError as error:
            wanted.append(Wanted(path.name, path.name, None, str(error), broken=True))
            continue
        wanted += [_judged(path.name, windowed(one, night, days), found) for one in scenarios]
    return wanted


def windowed(loaded: Loaded, night: date, days: int) -> Loaded:
    """The scenario with the window that it has on a night."""
    stop = When(timestamp_s=end_s(night))
    given = loaded.scenario.window
    if "window" not in loaded.document.data:
        moving = When(timestamp_s=end_s(night) - days * DAY_S)
        window = given.model_copy(update={"start": moving, "stop": stop})
    elif given.stop == When():
        window = given.model_copy(update={"stop": stop})
    else:
        return loaded
    return replace(loaded, scenario=loaded.scenario.model_copy(update={"window": window}))


def _judged(file: str, loaded: Loaded, found: Covered | None) -> Wanted:
    name, window = loaded.scenario.name, loaded.scenario.window
    if found is None:
        return Wanted(file, name, loaded, "the lake covers nothing of the market")
    blocks = [when.block for when in (window.start, window.stop) if when.block is not None]
    if any(not found.span.start <= block <= found.span.stop for block in blocks):
        return Wanted(file, name, loaded, f"coverage ends at block {found.span.stop - 1:,}")
    return Wanted(file, name, loaded, shortfall(found, window.start.timestamp_s, window.stop.timestamp_s))
