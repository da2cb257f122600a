"""What the logs of a market must agree on among themselves, whatever the rules: checked before a cell is sealed.

Interest indices never fall: neither a reserve's (Pool ``ReserveDataUpdated``) nor a token's (``Mint``, ``Burn``,
``BalanceTransfer``). Only a reserve that is listed anew begins at one ray again. And the scaled units that were burned
of a token, all accounts together, are never more than were minted; every event is off by less than a unit of rounding.
A source that leaves out or makes up logs breaks these as a rule.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from l2liq.events.abi import EventAbi, contract_event
from l2liq.events.decode import decode
from l2liq.events.log import block_of, keys_of, log_index_of
from l2liq.events.raw import ints
from l2liq.numeric import RAY
from l2liq.protocols.checking import Contradiction

_UPDATED = contract_event("aave_v3/pool", "ReserveDataUpdated")
_LISTED = contract_event("aave_v3/pool_configurator", "ReserveInitialized")
_MINT = contract_event("aave_v3/scaled_token", "Mint")
_BURN = contract_event("aave_v3/scaled_token", "Burn")
_MOVED = contract_event("aave_v3/a_token", "BalanceTransfer")

Step = tuple[int, bytes, str, int]
"""Key, whose index (emitter, or emitter and reserve), which one, and its value."""


@dataclass
class Consistency:
    """What was seen so far. Logs are taken in once, in the order of the chain.

    Attributes
    ----------
    last : last value of every index by whose it is and its name
    supply : scaled units of every token that was listed in these logs, and how many events made them
    """

    last: dict[tuple[bytes, str], int] = field(default_factory=dict)
    supply: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    def see(self, logs: pa.Table, pools: Collection[bytes], tokens: Collection[bytes]) -> Iterator[Contradiction]:
        """Contradictions in logs of these contracts (schema LOGS), and with what was seen before."""
        for token in _listed(logs):
            self.supply.setdefault(token, (0, 0))
        changes = _changes(logs, tokens)
        steps = sorted([*_reserve_steps(logs, pools), *((key, token, "index", i) for key, token, _, i in changes)])
        for key, whose, name, value in steps:
            before = self.last.get((whose, name), 0)
            if value < before and value != RAY:
                yield _contradiction(
                    key, f"the {name} of {_named(whose)} falls from {before} to {value}, and no index ever falls"
                )
            self.last[whose, name] = value
        for key, token, scaled, _ in changes:
            if token not in self.supply:
                continue
            total, events = self.supply[token]
            self.supply[token] = total + scaled, events + 1
            if total + scaled < -(events + 1):
                yield _contradiction(
                    key, f"more of {_named(token)} is burned than was ever minted: logs before this one are missing"
                )
                self.supply[token] = 0, 0


def _changes(logs: pa.Table, tokens: Collection[bytes]) -> list[tuple[int, bytes, int, int]]:
    """Key, token, change of its scaled supply (within a unit) and index, of every event of a token, in order."""
    found: list[tuple[int, bytes, int, int]] = []
    for event, sign in ((_MINT, 1), (_BURN, -1), (_MOVED, 0)):
        rows = _of(logs, event, tokens)
        value, index = ints(rows.column("value_raw")), ints(rows.column("index_raw"))
        increase = ints(rows.column("balance_increase_raw")) if sign else [0] * len(value)
        changed = (sign * v - i for v, i in zip(value, increase, strict=True))
        scaled = [amount * RAY // at if sign and at else 0 for amount, at in zip(changed, index, strict=True)]
        found += zip(_keys(rows), rows.column("address").to_pylist(), scaled, index, strict=True)
    return sorted(found)


def _reserve_steps(logs: pa.Table, pools: Collection[bytes]) -> Iterator[Step]:
    rows = _of(logs, _UPDATED, pools)
    emitters, assets = rows.column("address").to_pylist(), rows.column("reserve").to_pylist()
    for name in ("liquidity_index", "variable_borrow_index"):
        for key, pool, asset, value in zip(
            _keys(rows), emitters, assets, ints(rows.column(f"{name}_raw")), strict=True
        ):
            yield key, pool + asset, name, value


def _listed(logs: pa.Table) -> Iterator[bytes]:
    rows = _of(logs, _LISTED, None)
    for name in ("a_token", "variable_debt_token"):
        yield from rows.column(name).to_pylist()


def _of(logs: pa.Table, event: EventAbi, emitters: Collection[bytes] | None) -> pa.Table:
    """Decoded events of some contracts; those that do not fit their event are sorted out elsewhere."""
    mask = pc.equal(logs.column("topic0"), pa.scalar(event.topic0, pa.binary(32)))
    if emitters is not None:
        mask = pc.and_(mask, pc.is_in(logs.column("address"), value_set=pa.array(list(emitters), pa.binary(20))))
    return decode(logs.filter(mask), event, decimals=False).events


def _keys(rows: pa.Table) -> list[int]:
    keys = keys_of(rows.column("block_number").to_numpy(), rows.column("log_index").to_numpy())
    return np.asarray(keys).tolist()


def _contradiction(key: int, reason: str) -> Contradiction:
    return Contradiction(block_of(key), log_index_of(key), reason)


def _named(whose: bytes) -> str:
    return f"0x{whose[-20:].hex()}"
