"""Six days of a market on a real node, with a crash in them: what the nights of these tests are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.evm.anvil import CHAIN_ID, Node, running_node
from tests.evm.deploy import deploy
from tests.evm.driver.plan import Crash, Plan
from tests.evm.driver.run import simulate
from tests.evm.market import Version

NAME, SLUG = "aave-v3/nights", "aave-v3-nights"
DAYS = ("2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05", "2026-03-06")
"""Its complete UTC days; the seventh has just begun."""
PLAN = Plan(
    seed=11,
    users=24,
    days=5.1,
    actions_per_day=70,
    crash=Crash(2.3, 1.6, 0.4),
    outage=None,
    governance_changes=0,
    heartbeat_s=7200,
)

SCENARIO = """name: {name}
market: {market}
policy_range: false
uncertainty: {{resamples: 0}}
distance: "off"
heartbeat: 1h
change:
  reserves:
    {asset}: {{liquidation_threshold: {{shift: -3pp}}, ltv: {{shift: -3pp}}}}
"""


@dataclass(frozen=True)
class Chain:
    """A node with the market on it, and what describes the market."""

    node: Node
    provider: str
    last_block: int


@contextmanager
def running_chain(plan: Plan = PLAN) -> Iterator[Chain]:
    """The chain, complete; nobody changes it any more."""
    with running_node() as node:
        market = deploy(node, Version.V302)
        trace = simulate(node, market, plan)
        yield Chain(node, market.provider, trace.last_block)


def nightly_file(
    folder: Path, chain: Chain, *, rpc: str | None = "$L2LIQ_TEST_RPC", more: str = "", days: int = 2
) -> Path:
    """A nightly file with its market and two scenarios beside it."""
    (folder / "market.yaml").write_text(
        f"name: {NAME}\nprotocol: aave-v3\nversion: 3.0.2\nchain_id: {CHAIN_ID}\n"
        f"addresses_provider: '{chain.provider}'\ncell_blocks: 100\nfinality: 30\n"
    )
    scenarios = folder / "scenarios"
    scenarios.mkdir(exist_ok=True)
    for name, asset in (("weth", "WETH"), ("wbtc", "WBTC")):
        text = SCENARIO.format(name=f"{asset} 3 points tighter", market="../market.yaml", asset=asset)
        (scenarios / f"{name}.yaml").write_text(text)
    source = "" if rpc is None else f"    rpc: {rpc}\n"
    path = folder / "nightly.yaml"
    path.write_text(
        f"lake: lake\nuntil: coverage\ndays: {days}\nmarkets:\n  - market: market.yaml\n{source}"
        f"    scenarios: scenarios\n{more}"
    )
    return path
