"""``make stream-demo``: logs flow from a local chain through Kafka into sealed segments, and one can watch.

Everything is real and local: anvil with Aave's own contracts and users who use them, an Apache Kafka broker, and the
commands ``l2liq stream follow`` and ``l2liq stream sink`` as processes of their own.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from l2liq.chains.markets import Listing, find_market
from l2liq.lake import Lake
from pipelines.ingest.node_job import Wish, ingest_node
from pipelines.sources.jsonrpc import JsonRpc, Manners
from pipelines.sources.node import Node
from pipelines.stream.broker import Inlet
from pipelines.stream.topic import ensure_topic, place_of
from tests.evm.anvil import Node as Anvil
from tests.evm.anvil import running_node
from tests.evm.deploy import deploy
from tests.evm.driver.plan import Plan
from tests.evm.driver.run import simulate
from tests.evm.market import Deployment, Version
from tests.evm.rpc import Rpc
from tests.kafka.broker import bootstrap_of_a_broker

PROGRAM = str(Path(sys.executable).parent / "l2liq")
CELL_BLOCKS, CONFIRMATIONS = 50, 20
PATIENCE_S = 600.0


def main() -> int:
    """Run it; exit code 0 where the lake is the one that batch writes."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--days", type=float, default=2.0, help="how long the market lives")
    days: float = options.parse_args().days
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="l2liq-demo-") as scratch, running_node() as node:
        folder = Path(scratch)
        console.print("Starting Kafka (the first time Maven fetches it) and deploying Aave on a local chain …")
        with bootstrap_of_a_broker() as bootstrap:
            market = deploy(node, Version.V302)
            yaml = _market_file(folder / "town.yaml", market)
            return _show(console, node, market, bootstrap, yaml, folder, days)


def _market_file(path: Path, market: Deployment) -> Path:
    path.write_text(
        f"name: aave-v3/town\nprotocol: aave-v3\nversion: 3.0.2\nchain_id: 31337\n"
        f"addresses_provider: '{market.provider}'\ncell_blocks: {CELL_BLOCKS}\nfinality: {CONFIRMATIONS}\n"
    )
    return path


def _show(
    console: Console, node: Anvil, market: Deployment, bootstrap: str, yaml: Path, folder: Path, days: float
) -> int:
    listing, lake = find_market(str(yaml)), folder / "lake"
    Lake.create(lake)
    ensure_topic(bootstrap, place_of(listing.chain, listing.deployment.slug).topic)
    common = ["-m", str(yaml), "--bootstrap", bootstrap, "--lake", str(lake)]
    commands = [
        ["stream", "follow", node.url, *common, "--poll", "0.2"],
        ["stream", "sink", *common, "--tail-every", "1"],
    ]
    for command in commands:
        shown = [one.replace(f"{folder}/", "") for one in command]
        console.print(f"[bold]$ l2liq {' '.join(shown)} &[/]", highlight=False)
    report = (folder / "services.log").open("wb")
    services = [subprocess.Popen([PROGRAM, *one], stdout=report, stderr=report) for one in commands]
    plan = Plan(seed=5, users=12, days=days, actions_per_day=300)
    life = threading.Thread(target=simulate, args=(node, market, plan), daemon=True)
    life.start()
    try:
        done = _watch(console, node, listing, bootstrap, lake, life, services)
    finally:
        for one in services:
            one.terminate()
        for one in services:
            one.wait()
    if not done:
        console.print((folder / "services.log").read_text(errors="replace")[-2000:])
        return 3
    return _compare(console, node, listing, lake, folder / "batch")


def _watch(
    console: Console, node: Anvil, listing: Listing, bootstrap: str, lake: Path, life: threading.Thread,
    services: list[subprocess.Popen[bytes]],
) -> bool:  # fmt: skip
    """Show the way of the logs until all that is final is sealed."""
    slug = listing.deployment.slug
    inlet, head = Inlet(bootstrap, place_of(listing.chain, slug), None), Rpc(node.port)
    give_up = time.monotonic() + PATIENCE_S
    with Live(console=console, refresh_per_second=8) as live:
        while time.monotonic() < give_up and all(one.poll() is None for one in services):
            latest = int(head.call("eth_blockNumber"), 16)
            coverage, told = Lake.open(lake).coverage(slug), Lake.open(lake).status().streams.get(slug, {})
            sealed = coverage.sealed_until or 0
            table = Table(title="anvil → Kafka → lake")
            for column in ("", "block", "how far"):
                table.add_column(column, min_width=12)
            target = max(1, (latest - CONFIRMATIONS + 1) // CELL_BLOCKS * CELL_BLOCKS)
            messages = inlet.bounds()[1]
            table.add_row("chain (anvil)", f"{latest:,}", "growing" if life.is_alive() else "complete")
            table.add_row("topic (Kafka)", f"{told.get('scanned_block', -1):,}", f"{messages:,} messages")
            logs = sum(one.rows for one in coverage.segments)
            bar = "█" * (30 * sealed // target)
            table.add_row(
                "lake (sealed)", f"{sealed - 1:,}", f"{bar:<30} {len(coverage.segments)} segments, {logs:,} logs"
            )
            table.add_row("", "", f"{told.get('lag', 0):,} messages behind, {told.get('logs_per_s', 0):,.0f} logs/s")
            live.update(table)
            if not life.is_alive() and sealed >= target > 1 and told.get("scanned_block") == latest:
                return True
            time.sleep(0.15)
    return False


def _compare(console: Console, node: Anvil, listing: Listing, lake: Path, batch: Path) -> int:
    if not console.is_terminal:
        console.line()  # where it cannot redraw, the live table ends without one
    ingest_node(batch, listing, Node(JsonRpc(node.url, Manners()), listing.chain), Wish())
    stream, other = (Lake.open(one).dataset_root(listing.deployment.slug).hex() for one in (lake, batch))
    console.print(
        f"Root of the lake from the stream: 0x{stream}\nRoot of the lake from a batch:    0x{other}", highlight=False
    )
    console.print("They are equal." if stream == other else "[bold red]They differ.[/]")
    return 0 if stream == other else 1


if __name__ == "__main__":
    sys.exit(main())
