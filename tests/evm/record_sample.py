"""Records the bundled sample: two weeks of a market of Aave 3.6.0 with a crash and an outage in it.

Run ``python -m tests.evm.record_sample`` after ``npm ci`` in tests/evm. The same seed, the same anvil and the
same compiler give the same bytes of every log and every block hash; the files are replaced.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from l2liq.events.log import BLOCKS
from tests.evm import abi, truth
from tests.evm.anvil import CHAIN_ID, Node, running_node
from tests.evm.deploy import deploy
from tests.evm.driver.plan import Crash, LiquidatorSpec, Outage, Plan
from tests.evm.driver.run import Trace, simulate
from tests.evm.logs import logs_table
from tests.evm.market import GRACE_PERIOD_S, Deployment, Version, price_answer

TARGET = Path(__file__).resolve().parents[2] / "pipelines" / "sample"
GENESIS_S = 1_772_409_600
_CELL_BLOCKS = 500
_ROLLUP = """\
rollup:  # nobody settles a local chain; it is read as an optimistic rollup of the OP stack
  kind: optimistic
  genesis: 2026-03-01
  ordering:
    - {from: 2026-03-01, policy: priority_fee}
  clocks:
    - from: 2026-03-01
      publication_s: 600
      l1_finality_s: 768
      settlement_s: 608400
      source: Assumed for the sample, which was recorded on a local chain; the delays are those of OP Mainnet.
  fees:
    - {from: 2026-03-01, scheme: jovian, scalars: {base_fee_scalar: 5227, blob_base_fee_scalar: 1014213}}"""
_ROW_GROUP = 1 << 16

PLAN = Plan(
    seed=2026,
    users=320,
    days=14.0,
    actions_per_day=170.0,
    weights=MappingProxyType(
        {
            "open": 12, "supply": 9, "withdraw": 7, "borrow": 9, "repay": 9, "repay_with_a_tokens": 2, "transfer": 2,
            "switch_collateral": 1, "switch_emode": 0.5, "mint_to_treasury": 0.2, "flash": 1.5, "bundle": 0.2,
            "multicall": 1, "defend": 40,
        }
    ),
    yearly_volatility=0.65,
    crash=Crash(9.1, 2.1, 0.345),
    outage=Outage(9.1 + 24 / 1440, 70),
    liquidators=(
        LiquidatorSpec(4, smallest_debt_usd=400, attention=0.8, partial_share=0.1),
        LiquidatorSpec(9, smallest_debt_usd=150, attention=0.7, partial_share=0.2),
        LiquidatorSpec(40, receives_a_tokens=True, smallest_debt_usd=150, attention=0.6),
        LiquidatorSpec(150, smallest_debt_usd=80, attention=0.6),
        LiquidatorSpec(1200, smallest_debt_usd=60, attention=0.5, partial_share=0.5),
    ),
    governance_changes=0,
    health_spread=(1.03, 0.2),
    wealth_usd=(9_000.0, 2.0),
    whale_depth=1.3,
    arrival_hours=200.0,
    sloppiness=0.55,
    panic=8.0,
)  # fmt: skip


def main() -> None:
    """Simulate, record, and say what was recorded."""
    begun = time.monotonic()
    with running_node(GENESIS_S, kept_states=64) as node:
        market = deploy(node, Version.V360)
        trace = simulate(node, market, PLAN)
        logs = _logs(node, market, trace)
        blocks = _blocks(node, logs, trace)
        _write(logs, TARGET / "logs.parquet")
        _write(blocks, TARGET / "blocks.parquet")
        (TARGET / "market.yaml").write_text(_market_yaml(market))
        print(f"{logs.num_rows:,} logs in {trace.last_block:,} blocks, {time.monotonic() - begun:.0f} s")
        print(_summary(node, market, trace, logs))


def _logs(node: Node, market: Deployment, trace: Trace) -> pa.Table:
    """Every log of the chain but the mock tokens' own: what an indexer of this market would hold."""
    underlyings = {reserve.underlying for reserve in market.reserves}
    rows = [log for log in _all_logs(node, trace.last_block) if log["address"] not in underlyings]
    return logs_table(rows)


def _all_logs(node: Node, last: int) -> list[dict[str, Any]]:
    step = 1000
    return [log for first in range(0, last + 1, step) for log in node.logs(first, min(first + step - 1, last))]


def _blocks(node: Node, logs: pa.Table, trace: Trace) -> pa.Table:
    """Headers of every block with a log, and of the first and last block."""
    numbers = sorted({0, trace.last_block, *logs.column("block_number").to_pylist()})
    headers = node.rpc.batch([("eth_getBlockByNumber", (hex(number), False)) for number in numbers])
    columns = {
        "number": numbers,
        "hash": [abi.from_hex(header["hash"]) for header in headers],
        "parent_hash": [abi.from_hex(header["parentHash"]) for header in headers],
        "timestamp_s": [int(header["timestamp"], 16) for header in headers],
        "base_fee_wei": [int(header["baseFeePerGas"], 16) for header in headers],
    }
    return pa.table({name: columns[name] for name in BLOCKS.names}, schema=BLOCKS)


def _write(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd", compression_level=19, row_group_size=_ROW_GROUP)


def _market_yaml(market: Deployment) -> str:
    """The market as l2liq wants it described, with what the logs cannot tell."""
    lines = [
        "# A market of Aave v3.6.0 on a local chain, recorded by tests/evm/record_sample.py.",
        "name: aave-v3/sample",
        "protocol: aave-v3",
        f'version: "{market.version.value}"',
        f"chain_id: {CHAIN_ID}",
        f'addresses_provider: "{market.provider}"',
        f"start_block: {market.first_block}",
        f"cell_blocks: {_CELL_BLOCKS}",
        _ROLLUP,
        "# What the logs cannot show.",
        "supplement:",
        "  tokens:",
    ]
    lines += [
        f'    "{reserve.underlying}": {{symbol: {reserve.symbol}, decimals: {reserve.spec.decimals}}}'
        for reserve in market.reserves
    ]
    lines.append("  sources:  # the contract that logs the answers, and the answer when the oracle began to use it")
    lines += [
        f'    "{reserve.feed}": {{aggregator: "{reserve.aggregator}", answer: {price_answer(reserve.spec.price_usd)}}}'
        for reserve in market.reserves
    ]
    lines.append(f'    "{market.uptime_feed}": {{aggregator: "{market.uptime_feed}"}}')
    sentinel = f'{{grace_period_s: {GRACE_PERIOD_S}, sequencer_oracle: "{market.uptime_feed}"}}'
    return "\n".join([*lines, "  sentinels:", f'    "{market.sentinel}": {sentinel}', ""])


def _summary(node: Node, market: Deployment, trace: Trace, logs: pa.Table) -> str:
    """What a reader of the sample should know about it."""
    topics = logs.column("topic0").to_pylist()
    liquidated = topics.count(abi.from_hex(truth.LIQUIDATION_CALL))
    deficits = topics.count(abi.from_hex(abi.topic("DeficitCreated(address,address,uint256)")))
    users = truth.users_at(node, market, trace.accounts)
    factors = sorted(user.data.health_factor_wad / 1e18 for user in users if user.data.debt_base)
    deciles = ", ".join(f"{factors[int(len(factors) * share / 10)]:.3f}" for share in range(10))
    active = sum(any(user.scaled_a) or any(user.scaled_v) for user in users)
    return (
        f"{liquidated} liquidations, {deficits} deficits; at the end {active} accounts hold something, "
        f"{len(factors)} of them debt; health factors by decile {deciles}"
    )


if __name__ == "__main__":
    main()
