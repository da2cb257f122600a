"""Aave v3's Pool, its tokens and its rates as one state machine on exact integers."""

from l2liq.protocols.aave_v3.pool.calldata import PoolCalldata
from l2liq.protocols.aave_v3.pool.opening import open_pool
from l2liq.protocols.aave_v3.pool.pool import Pool, Surroundings
from l2liq.protocols.aave_v3.pool.recorded import RecordedPool
from l2liq.protocols.aave_v3.pool.reserve import PoolReserve

__all__ = ["Pool", "PoolCalldata", "PoolReserve", "RecordedPool", "Surroundings", "open_pool"]
