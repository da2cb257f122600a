"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LakeOption = Annotated[
    Path, typer.Option("--lake", envvar="L2LIQ_LAKE", metavar="DIR", help="Folder of the lake, or s3://bucket/prefix.")
]
"""``lake: LakeOption = DEFAULT_LAKE``."""

DEFAULT_LAKE = Path("lake")

UnusedLakeOption = Annotated[
    Path, typer.Option("--lake", envvar="L2LIQ_LAKE", metavar="DIR", help="Taken as everywhere; this reads no lake.")
]
"""For commands that read no lake, so that the option may stand on every one."""

MarketOption = Annotated[
    str, typer.Option("--market", "-m", metavar="M", help="A name from `l2liq market list`, or a market YAML file.")
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
