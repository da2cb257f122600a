"""Folders that appear with all their files at once, and disappear so: cache entries, runs, what is quarantined."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from l2liq.lake.locks import exclusive
from l2liq.lake.publish import beside, make_folder, naming_failures, publish_folder, sweep

_PURPOSE = "putting a folder in place"


def publish_staged(lake: Path, target: Path, fill: Callable[[Path], None]) -> bool:
    """Fill a folder out of sight and rename it to ``target``; False where that was there already (then it is kept)."""
    staging = lake / ".staging"
    with exclusive(lake / ".locks" / "staging.lock", _PURPOSE, wait=True):
        sweep(staging)
        return publish_folder(target, fill, staging)


def delete_staged(lake: Path, target: Path) -> None:
    """Delete a folder: it leaves by a rename before its files go. One that is gone is no error."""
    staging = lake / ".staging"
    with exclusive(lake / ".locks" / "staging.lock", _PURPOSE, wait=True), naming_failures(target):
        make_folder(staging)
        sweep(staging)
        if target.is_dir():
            leaving = beside(staging / target.name)
            target.rename(leaving)
            shutil.rmtree(leaving)
