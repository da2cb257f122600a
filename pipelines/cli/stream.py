"""``l2liq stream follow`` and ``l2liq stream sink``: a chain's head into Kafka, and from there into the lake."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from l2liq.errors import InputError
from pipelines.cli.console import console, safe
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, LakeOption

if TYPE_CHECKING:
    from l2liq.chains.markets import Listing
    from pipelines.stream.follower import Step
    from pipelines.stream.metrics import Metrics
    from pipelines.stream.sink import SinkState

app = typer.Typer(name="stream", help="A chain's head through Kafka into the lake.", no_args_is_help=True)

MarketsOption = Annotated[
    list[str],
    typer.Option("--market", "-m", metavar="M", help="A name, or a market YAML file; may be given several times."),
]
BootstrapOption = Annotated[
    str, typer.Option(envvar="L2LIQ_KAFKA_BOOTSTRAP", metavar="HOST:PORT", help="Where the Kafka broker is.")
]
OnceOption = Annotated[bool, typer.Option("--once", help="End when there is nothing more, instead of waiting.")]
PortOption = Annotated[
    int | None, typer.Option(min=1, max=65535, metavar="PORT", help="Serve Prometheus metrics on this port.")
]
AddressOption = Annotated[str, typer.Option(metavar="ADDRESS", help="On this address; 0.0.0.0 = on all of them.")]
ChecksOption = Annotated[int, typer.Option(min=0, help="Blocks to compare with the node's list of all their logs.")]


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app)


@app.command(epilog="Example: `l2liq stream follow https://node.example/KEY -m aave-v3/arbitrum`")
def follow(
    node: Annotated[str, typer.Argument(metavar="RPC", help="An http(s) RPC address.")],
    market: MarketsOption,
    bootstrap: BootstrapOption = "localhost:9092",
    lake: LakeOption = DEFAULT_LAKE,
    from_block: Annotated[
        int | None,
        typer.Option(min=0, help="Where to begin if neither topic nor lake tell; default: the market's first."),
    ] = None,
    poll: Annotated[float, typer.Option(min=0.01, max=3600, help="Pause between two looks at the head [s].")] = 1.0,
    once: OnceOption = False,
    checks: ChecksOption = 16,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Most requests per second.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=86_400, help="Patience with a request [s].")] = 60.0,
    metrics_port: PortOption = None,
    metrics_address: AddressOption = "127.0.0.1",
) -> None:
    """Put the logs of markets into Kafka as the chain grows.

    It goes on from its last marker in the topic, or from where the lake ends. Stop and start it as you like.
    """
    listings = _listings(market)
    from pipelines.sources.jsonrpc import Manners
    from pipelines.stream.service import FollowWish, ending_on_signals
    from pipelines.stream.service import follow as serve

    known = lake if (lake / "lake.json").is_file() or "s3:" in str(lake) else None
    wish = FollowWish(known, from_block, poll, once, checks)
    last: dict[str, Step] = {}
    with ending_on_signals() as stop, _watched() as show:

        def watch(name: str, step: Step) -> None:
            last[name] = step
            show({one: _of_step(found) for one, found in last.items()})

        serve(node, Manners(timeout, rate=rate), listings, bootstrap, wish, _metrics(metrics_port, metrics_address),
              stop, watch)  # fmt: skip
    for name, step in last.items():
        typer.echo(
            f"{name}: followed to block {step.followed:,}; the chain is at {step.head:,}, final to {step.final:,}."
        )


@app.command(epilog="Example: `l2liq stream sink -m aave-v3/arbitrum --rpc https://node.example/KEY`")
def sink(
    market: MarketsOption,
    bootstrap: BootstrapOption = "localhost:9092",
    lake: LakeOption = DEFAULT_LAKE,
    rpc: Annotated[
        str | None, typer.Option(metavar="RPC", help="A node for blocks that the topic holds no more.")
    ] = None,
    once: OnceOption = False,
    tail_every: Annotated[float, typer.Option(min=0, max=86_400, help="How often the tail is written [s].")] = 30.0,
    checks: ChecksOption = 16,
    metrics_port: PortOption = None,
    metrics_address: AddressOption = "127.0.0.1",
    as_json: JsonOption = False,
) -> None:
    """Seal whole final cells of markets from Kafka, and keep the tail behind them.

    Run as many as you like, beside `l2liq ingest`: the lake is the same. Exit code 1: a cell cannot be sealed.
    """
    listings = _listings(market)
    from pipelines.sources.jsonrpc import JsonRpc, Manners
    from pipelines.sources.node import Node
    from pipelines.stream.service import ending_on_signals
    from pipelines.stream.service import sink as serve
    from pipelines.stream.sink import SinkWish, beacon

    def node_of(listing: Listing) -> Node | None:
        return None if rpc is None else Node(JsonRpc(rpc, Manners()), listing.chain)

    last: dict[str, SinkState] = {}
    with ending_on_signals() as stop, _watched() as show:

        def watch(state: SinkState) -> None:
            last[state.market] = state
            show({one: _of_sink(found) for one, found in last.items()})

        states = serve(
            lake, listings, bootstrap, node_of, SinkWish(checks, tail_every), _metrics(metrics_port, metrics_address),
            stop, once=once, watch=watch,
        )  # fmt: skip
    typer.echo(json.dumps([beacon(one) for one in states]) if as_json else "\n".join(map(_last_words, states)))
    if any(one.stopped for one in states):
        raise typer.Exit(1)


def _listings(names: list[str]) -> list[Listing]:
    """The markets; asked for first, since without the extra nothing of :mod:`pipelines.stream` can be imported."""
    from l2liq.chains.markets import find_market

    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters of its warnings comes back as an error
    try:
        import kafka  # noqa: F401 - whether it is installed
    except ImportError:
        raise InputError("Kafka needs the extra `stream`. Install it with `pip install 'l2liq[stream]'`.") from None
    listings = [find_market(name) for name in names]
    if len({one.chain.chain_id for one in listings}) > 1:
        raise InputError("the markets are on several chains. Start one process per chain.")
    if len({one.deployment.slug for one in listings}) < len(listings):
        raise InputError("a market is given twice. Leave one out.")
    return listings


def _metrics(port: int | None, address: str) -> Metrics:
    from pipelines.stream.metrics import Metrics

    metrics = Metrics()
    if port is not None:
        metrics.serve(port, address)
    return metrics


def _last_words(state: SinkState) -> str:
    sealed = f"sealed to block {state.sealed_block:,}" if state.sealed_block >= 0 else "nothing sealed"
    lines = [
        f"{state.market}: {sealed}; {state.sealed_cells:,} cells ({state.sealed_logs:,} logs) by this sink. "
        f"Known to block {state.scanned_block:,}."
    ]
    if state.stopped:
        lines.append(f"Stopped: {state.stopped}")
    return "\n".join([*lines, *state.notes])


def _of_step(step: Step) -> str:
    return f"block {step.followed:,} of {step.head:,}, final to {step.final:,}"


def _of_sink(state: SinkState) -> str:
    told = f"sealed to {state.sealed_block:,}, known to {state.scanned_block:,}, {state.logs_per_s:,.0f} logs/s"
    return f"{told}, {state.lag:,} behind" + (f"; stopped: {state.stopped}" if state.stopped else "")


@contextmanager
def _watched() -> Iterator[Callable[[dict[str, Any]], None]]:
    """A line per market on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda lines: None
        return
    from rich.live import Live
    from rich.text import Text

    with Live(console=console(stderr=True), transient=True, refresh_per_second=4) as live:
        yield lambda lines: live.update(Text("\n".join(f"{safe(name)}: {line}" for name, line in lines.items())))
