"""Files of a pool's logs that scenarios name: which file exactly, and the pool's history in it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from l2liq.chains.chain import Chain
from l2liq.errors import L2LiqError, ScenarioError
from l2liq.events.log import LOGS
from l2liq.liquidity.pool_history import TOPICS, PoolHistory, history_of
from l2liq.scenario.document import Place
from l2liq.scenario.liquidity import SPACINGS, LiquidityOfWorld, OutletSpec
from l2liq.scenario.load import Loaded
from pipelines.sources.logfiles import LogFile
from pipelines.sources.opening import opened

_BYTES_AT_A_TIME = 1 << 20


def with_files(loaded: Loaded, folder: Path) -> Loaded:
    """A scenario whose files are named in full, each with its hash: the file's content is part of what was asked.

    Raises ScenarioError for a file that cannot be read, or is not the one that the scenario's hash means.
    """
    liquidity = loaded.scenario.liquidity
    if liquidity is None:
        return loaded
    control = _resolved(loaded, liquidity.control, folder, ("liquidity", "control"))
    resolved = _resolved(loaded, liquidity, folder, ("liquidity",)).model_copy(update={"control": control})
    return replace(loaded, scenario=loaded.scenario.model_copy(update={"liquidity": resolved}))


def _resolved(loaded: Loaded, liquidity: LiquidityOfWorld, folder: Path, place: Place) -> LiquidityOfWorld:
    assets = {name: _found(loaded, one, folder, (*place, "assets", name)) for name, one in liquidity.assets.items()}
    return liquidity.model_copy(update={"assets": assets})


def _found(loaded: Loaded, outlet: OutletSpec, folder: Path, place: Place) -> OutletSpec:
    if outlet.logs is None:
        return outlet
    path = (folder / outlet.logs).absolute()
    try:
        sha256 = _hash(path)
    except L2LiqError as error:
        raise loaded.error((*place, "logs"), str(error)) from None
    if outlet.sha256 not in (None, sha256):
        raise loaded.error(
            (*place, "sha256"), f"{path} has changed: its hash is {sha256}. Give the file that was meant, or its hash."
        )
    return outlet.model_copy(update={"logs": str(path), "sha256": sha256})


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with opened(path) as file:
        while chunk := file.read(_BYTES_AT_A_TIME):
            digest.update(chunk)
    return digest.hexdigest()


class Pools:
    """Histories of pools on one chain, each file read once."""

    def __init__(self, chain: Chain | None = None) -> None:
        self._chain = chain
        self._known: dict[tuple[str, str | None, int], PoolHistory] = {}

    def history(self, outlet: OutletSpec) -> PoolHistory:
        """The pool that an outlet names. Raises ScenarioError naming its file."""
        assert outlet.logs is not None and self._chain is not None, "the outlet is of a scenario of this chain"
        spacing = spacing_of(outlet)
        key = (outlet.sha256 or outlet.logs, outlet.pool, spacing)
        if key not in self._known:
            path = Path(outlet.logs)
            pool = None if outlet.pool is None else bytes.fromhex(outlet.pool[2:])
            try:
                self._known[key] = history_of(_logs(LogFile(path, None, self._chain)), spacing, pool)
            except L2LiqError as error:
                named = str(error) if str(path) in str(error) else f"{path}: {error}"
                raise ScenarioError(named) from None
        return self._known[key]


def spacing_of(outlet: OutletSpec) -> int:
    """Tick spacing of an outlet's pool: as given, or what pools with its fee have."""
    return outlet.tick_spacing or SPACINGS[outlet.fee or 0]


def _logs(file: LogFile) -> pa.Table:
    """The logs of a file that move a pool. Their times are not needed, and few sources give them: all are 0."""
    tables = []
    for table in file.tables():
        mine = table.filter(pc.is_in(table["topic0"], pa.array(TOPICS, pa.binary(32))))
        place = mine.column_names.index("timestamp_s")
        untimed = pa.array([0] * mine.num_rows, pa.int64())
        tables.append(mine.set_column(place, LOGS.field("timestamp_s"), untimed).select(LOGS.names).cast(LOGS))
    return pa.concat_tables([LOGS.empty_table(), *tables]).combine_chunks()
