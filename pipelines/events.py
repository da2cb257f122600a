"""Decoded events of a market for ad-hoc queries: a view per event in the catalog, made anew where the logs changed."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import numpy as np
import pyarrow as pa

from l2liq.events.abi import EventAbi, contract_events, contracts, snake_case
from l2liq.events.decode import decode, split
from l2liq.lake import BLOCK_DATA, Lake, Span
from l2liq.lake.caches import CacheKey
from pipelines.manifest import this_version


def write_events(lake: Lake, market: str, families: Sequence[str]) -> None:
    """Bring the decoded events of a market up to date with its logs, a quarter at a time.

    ``families``: folders of ``schemas/`` with the ABIs of the contracts that the market's logs come from.
    """
    for quarter, span in _quarters(lake, market):
        root = lake.dataset_root(market, span)
        for family in families:
            key = CacheKey(root, _abi_hash(family), this_version().code)
            cached = lake.event_cache(family.replace("_", "-"), market)
            if not cached.holds(quarter, key):
                cached.write(quarter, _decoded(lake, market, span, family), key)


def _quarters(lake: Lake, market: str) -> Iterator[tuple[str, Span]]:
    """Quarters of UTC with logs, and the blocks of each."""
    blocks = lake.read(BLOCK_DATA, market)
    whole = lake.coverage(market).span
    if whole is None or not blocks.num_rows:
        return
    months = blocks["timestamp_s"].to_numpy().astype("datetime64[s]").astype("datetime64[M]").astype(int)
    quarters, first = np.unique(months // 3, return_index=True)
    starts = [whole.start, *(int(number) for number in blocks["number"].to_numpy()[first[1:]]), whole.stop]
    for number, start, stop in zip(quarters, starts[:-1], starts[1:], strict=True):
        yield f"{1970 + number // 4}q{number % 4 + 1}", Span(start, stop)


def _decoded(lake: Lake, market: str, span: Span, family: str) -> Iterator[Mapping[str, pa.Table]]:
    names = _names(family)
    for logs in lake.read_logs(market, span):
        known = split(logs, list(names)).known
        pieces: dict[str, list[pa.Table]] = defaultdict(list)
        for event, rows in known.items():
            pieces[names[event]].append(decode(rows, event).events)
        yield {name: pa.concat_tables(tables) for name, tables in pieces.items() if tables[0].num_rows}


@cache
def _names(family: str) -> dict[EventAbi, str]:
    """Name of each event of a family; the contract and the number of arguments tell those of one name apart."""
    found = [(contract, event) for contract in contracts() if contract.startswith(f"{family}/")
             for event in contract_events(contract)]  # fmt: skip
    shared = Counter(snake_case(event.name) for event in {event for _, event in found})
    names: dict[EventAbi, str] = {}
    for contract, event in found:
        name = snake_case(event.name)
        if shared[name] > 1:
            name = f"{contract.split('/')[1]}_{name}"
            if name in names.values():
                name = f"{name}_{len(event.arguments)}"
        names.setdefault(event, name)
    return names


@cache
def _abi_hash(family: str) -> str:
    text = "".join(sorted(f"{event.signature} {name}\n" for event, name in _names(family).items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
