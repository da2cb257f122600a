"""What the logs of a market must agree on among themselves, whatever the rules: checked before a cell is sealed.

Interest indices never fall: neither a reserve's (Pool ``ReserveDataUpdated``) nor a token's (``Mint``, ``Burn``,
``BalanceTransfer``). Only a reserve that is listed anew begins at one ray again. And the scaled units that were burned
of a token, all accounts together, are never more than were minted; where ``scaledTotalSupply`` of the token is known,
they add up to it. Every event is off by no more than a unit of rounding. A source that leaves out or makes up logs
breaks these as a rule.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.errors import InterestIndexError, LogError, SupplyError
from l2liq.events.abi import EventAbi, contract_event
from l2liq.events.decode import decode
from l2liq.events.log import block_of, key_of, keys_of, log_index_of
from l2liq.events.raw import ints
from l2liq.events.words import words_of
from l2liq.numeric import RAY
from l2liq.protocols.checking import Contradiction

_UPDATED = contract_event("aave_v3/pool", "ReserveDataUpdated")
_LISTED = contract_event("aave_v3/pool_configurator", "ReserveInitialized")
_MINT = contract_event("aave_v3/scaled_token", "Mint")
_BURN = contract_event("aave_v3/scaled_token", "Burn")
_MOVED = contract_event("aave_v3/a_token", "BalanceTransfer")
_AT = ("block_number", "log_index")

Number = npt.NDArray[np.int64]


@dataclass
class Consistency:
    """What was seen so far. Logs are taken in once, in the order of the chain.

    Attributes
    ----------
    last : last value of every index by whose it is (emitter, or emitter and reserve) and its name: 32 bytes, big-endian
    supply : scaled units of every token that was listed in these logs, and how many events made them since its supply
        was last known exactly
    """

    last: dict[tuple[bytes, str], bytes] = field(default_factory=dict)
    supply: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    def see(self, logs: pa.Table, pools: Collection[bytes], tokens: Collection[bytes]) -> Iterator[Contradiction]:
        """Contradictions in logs of these contracts (schema LOGS), and with what was seen before."""
        listings, updates, mints, burns, moves = _decoded(
            logs, {_LISTED: None, _UPDATED: pools, _MINT: tokens, _BURN: tokens, _MOVED: tokens}
        )
        for name in ("a_token", "variable_debt_token"):
            for token in listings.column(name).to_pylist():
                self.supply.setdefault(token, (0, 0))
        reserves = pc.binary_join_element_wise(
            *(updates[name].cast(pa.binary()) for name in ("address", "reserve")), b""
        )
        stated = pa.concat_tables([one.select([*_AT, "address", "index_raw"]) for one in (mints, burns, moves)])
        found = [
            *self._falls(updates, reserves, "liquidity_index"),
            *self._falls(updates, reserves, "variable_borrow_index"),
            *self._falls(stated, stated["address"], "index"),
        ]
        yield from (_contradiction(InterestIndexError, *one) for one in sorted(found))
        yield from (_contradiction(SupplyError, *one) for one in sorted(self._overburned(mints, burns)))

    def reconcile(self, logs: pa.Table, supplies: Mapping[bytes, int], block: int) -> Iterator[Contradiction]:
        """Tokens whose events do not add up to their scaled supply, each with its last log, or the last one of all.

        ``supplies`` are those at the end of ``block``, which the logs (schema LOGS) reach; they count from here on.
        """
        for token, supply in supplies.items():
            total, events = self.supply[token]
            self.supply[token] = supply, 0
            if abs(supply - total) > events:
                own = logs.filter(pc.equal(logs["address"], pa.scalar(token, pa.binary(20))))
                key = int(max(_keys(own if own.num_rows else logs), default=key_of(block, 0)))
                why = (
                    f"block {block:,}: {abs(supply - total):,} scaled units of {_named(token)} are not explained by "
                    f"its logs: logs are missing or made up. Compare with another node"
                )
                yield Contradiction(block_of(key), log_index_of(key), SupplyError(why))

    def _falls(self, rows: pa.Table, whose: pa.ChunkedArray, name: str) -> Iterator[tuple[int, str]]:
        """Keys of the events at which an index falls, and why that cannot be."""
        values = rows[f"{name}_raw"].combine_chunks()
        words, keys = words_of(values), _keys(rows)
        lanes = words.view(np.uint64).byteswap()
        for owner, order in _grouped(whose, keys):
            mine = lanes[order]
            before = self.last.get((owner, name), bytes(32))
            earlier = np.concatenate((np.frombuffer(before, np.uint64).byteswap()[None], mine[:-1]))
            for at in np.flatnonzero(_below(mine, earlier)):
                row = order[at]
                former = before if at == 0 else words[order[at - 1]].tobytes()
                value, former_value = int.from_bytes(words[row].tobytes()), int.from_bytes(former)
                if value != RAY:
                    yield (
                        int(keys[row]),
                        f"the {name} of {_named(owner)} falls from {former_value} to {value}, and no index ever falls",
                    )
            self.last[owner, name] = words[order[-1]].tobytes()

    def _overburned(self, mints: pa.Table, burns: pa.Table) -> Iterator[tuple[int, str]]:
        """Keys of the events at which a token's supply falls below zero, and what that means."""
        changes = [*_scaled(mints, 1), *_scaled(burns, -1)]
        columns = [*_AT, "address"]
        rows = pa.concat_tables([mints.select(columns), burns.select(columns)])
        keys = _keys(rows)
        for token, order in _grouped(rows["address"], keys):
            if token not in self.supply:
                continue
            total, events = self.supply[token]
            for row in order.tolist():
                total, events = total + changes[row], events + 1
                if total < -events:
                    why = f"more of {_named(token)} is burned than was ever minted: logs before this one are missing"
                    yield int(keys[row]), why
                    total, events = 0, 0
            self.supply[token] = total, events


def _scaled(rows: pa.Table, sign: int) -> list[int]:
    """By how much each mint (1) or burn (-1) changes the scaled supply, within a unit."""
    columns = (ints(rows[f"{name}_raw"]) for name in ("value", "balance_increase", "index"))
    return [
        (sign * value - increase) * RAY // index if index else 0
        for value, increase, index in zip(*columns, strict=True)
    ]


def _grouped(whose: pa.ChunkedArray, keys: Number) -> Iterator[tuple[bytes, Number]]:
    """Rows of each owner in the order of the chain."""
    if not len(keys):
        return
    coded = whose.combine_chunks().dictionary_encode()
    codes = coded.indices.to_numpy()
    order = np.lexsort((keys, codes))
    borders = np.flatnonzero(np.diff(codes[order])) + 1
    yield from zip(coded.dictionary.to_pylist(), np.split(order, borders), strict=True)


def _below(left: npt.NDArray[np.uint64], right: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Where one number is below another; each is four lanes, the highest first."""
    below = left[:, 3] < right[:, 3]
    for lane in (2, 1, 0):
        below = (left[:, lane] < right[:, lane]) | ((left[:, lane] == right[:, lane]) & below)
    return below


def _decoded(logs: pa.Table, wanted: Mapping[EventAbi, Collection[bytes] | None]) -> Iterator[pa.Table]:
    """Events of some contracts, None = of all; those that do not fit their event are sorted out elsewhere."""
    topics = pa.array([event.topic0 for event in wanted], pa.binary(32))
    which = pc.index_in(logs["topic0"], value_set=topics)
    for number, (event, emitters) in enumerate(wanted.items()):
        rows = logs.filter(pc.equal(which, number))
        if emitters is not None:
            mine = pc.is_in(rows["address"], value_set=pa.array(list(emitters), pa.binary(20)))
            rows = rows if pc.all(mine).as_py() else rows.filter(mine)
        yield decode(rows, event, decimals=False).events


def _keys(rows: pa.Table) -> Number:
    block_number, log_index = (rows[name].to_numpy() for name in _AT)
    return keys_of(block_number, log_index)


def _contradiction(kind: type[LogError], key: int, why: str) -> Contradiction:
    block, log_index = block_of(key), log_index_of(key)
    return Contradiction(block, log_index, kind(f"block {block:,}, log {log_index:,}: {why}"))


def _named(whose: bytes) -> str:
    return f"0x{whose[-20:].hex()}"
