"""What logs of an Aave v3 market cannot show, given by hand or asked of the chain once (DOMAIN §1.10).

In a market's YAML, all under ``supplement:``, every part optional; addresses are ``0x…``:

.. code-block:: yaml

    supplement:
      versions:                       # rule version of an implementation behind the Pool or a token
        "0x…": "3.1"
      tokens:                         # underlying: what people call it, and its decimals
        "0x…": {symbol: WETH, decimals: 18}
      sources:                        # price source: the contract that logs its answers, where it is not the source
        "0x…": {aggregator: "0x…",    # itself, and its answer at the moment it became the source
                answer: 240000000000}
      sentinels:                      # price oracle sentinel: as constructed
        "0x…": {grace_period_s: 3600, sequencer_oracle: "0x…"}
      strategies:                     # interest-rate strategy of one reserve (before 3.1): as constructed [ray]
        "0x…": {optimal_usage_ray: 900…, base_rate_ray: 0, slope1_ray: 40…, slope2_ray: 600…}

What is not given is asked by the questions of :mod:`.discovery`, and their answers arrive as observations (schema
OBSERVATIONS of the lake); what is given wins. Prices sampled or imported are observations of ``getAssetPrice``: the
price at the end of a block.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError

from l2liq.errors import InputError

GRACE_PERIOD = "getGracePeriod()(uint256)"
SEQUENCER_ORACLE = "getSequencerOracle()(address)"
AGGREGATOR = "aggregator()(address)"
ANSWER = "latestAnswer()(int256)"
SYMBOL = "symbol()(string)"
REVISION = "POOL_REVISION()(uint256)"
ASSET_PRICE = "getAssetPrice(address)(uint256)"
SCALED_SUPPLY = "scaledTotalSupply()(uint256)"
CURVE: Mapping[str, str] = {
    "OPTIMAL_USAGE_RATIO()(uint256)": "optimal_usage_ray",
    "getBaseVariableBorrowRate()(uint256)": "base_rate_ray",
    "getVariableRateSlope1()(uint256)": "slope1_ray",
    "getVariableRateSlope2()(uint256)": "slope2_ray",
}
"""What a strategy of one reserve answers about its curve, and what it is called here."""

_GIVEN_AS: Mapping[str, tuple[str, str]] = {
    GRACE_PERIOD: ("sentinels", "grace_period_s"),
    SEQUENCER_ORACLE: ("sentinels", "sequencer_oracle"),
    AGGREGATOR: ("sources", "aggregator"),
    ANSWER: ("sources", "answer"),
    SYMBOL: ("tokens", "symbol"),
    **{call: ("strategies", name) for call, name in CURVE.items()},
}
"""The part and key under which the answer to a question is given by hand."""

_VERSION_OF_REVISION = {4: "3.1", 5: "3.2", 6: "3.2.1", 7: "3.3", 8: "3.4", 9: "3.5", 10: "3.6", 11: "3.7"}
"""Source: POOL_REVISION per tag, DOMAIN §1.8; the 3.0 versions do not tell themselves apart by it."""

_PARTS: Mapping[str, frozenset[str] | None] = {
    "versions": None,
    "tokens": frozenset({"symbol", "decimals"}),
    "sources": frozenset({"aggregator", "answer"}),
    "sentinels": frozenset({"grace_period_s", "sequencer_oracle"}),
    "strategies": frozenset(CURVE.values()),
}


MOST_UINT256 = (1 << 256) - 1
_MOST = {"decimals": 36, "answer": (1 << 255) - 1, "grace_period_s": 10**9}
"""Largest values that make sense: with more decimals than 36 a token could not be priced (uint8 allows 255)."""


@dataclass(frozen=True)
class Given:
    """The supplement as written by hand, checked: part to address to what is given."""

    parts: Mapping[str, Mapping[bytes, Any]] = field(default_factory=dict)

    def of(self, part: str, address: bytes) -> Any:
        """What is given for an address; None = nothing."""
        return self.parts.get(part, {}).get(address)

    def value(self, part: str, address: bytes, key: str) -> Any:
        """One value of what is given for an address; None = not given."""
        found = self.of(part, address)
        return None if found is None else found.get(key)


def read_given(raw: Mapping[str, Any]) -> Given:
    """Check a supplement as it stands in YAML.

    Raises
    ------
    InputError
        Unknown part or key, an address that is none, a value of the wrong kind.
    """
    parts: dict[str, dict[bytes, Any]] = {}
    for part, entries in raw.items():
        if part not in _PARTS:
            raise InputError(f"supplement: {part!r} is unknown. Known: {', '.join(_PARTS)}.")
        if not isinstance(entries, Mapping):
            raise InputError(f'supplement.{part}: write one line per address, as in "0x…": …')
        parts[part] = {}
        for address, entry in entries.items():
            place = f"supplement.{part}.{address}"
            parts[part][read_address(address, place)] = _entry(entry, _PARTS[part], place)
    return Given(parts)


def _entry(entry: Any, known: frozenset[str] | None, place: str) -> Any:
    if known is None:
        return str(entry)
    if not isinstance(entry, Mapping) or not set(entry) <= known:
        raise InputError(f"{place}: give {', '.join(sorted(known))} and nothing else")
    return {key: _read_value(key, value, f"{place}.{key}") for key, value in entry.items()}


def _read_value(key: str, value: Any, place: str) -> Any:
    if key in ("aggregator", "sequencer_oracle"):
        return read_address(value, place)
    if key == "symbol":
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(f"{place}: {value!r} is no whole number of 0 or more")
    if value > _MOST.get(key, MOST_UINT256):
        raise InputError(f"{place}: {str(value)[:40]} is too much. It can be {_MOST.get(key, MOST_UINT256)} at most.")
    return value


def read_address(value: Any, place: str) -> bytes:
    """An address from ``0x`` and 40 hex digits, which YAML may have read as a number; InputError naming ``place``."""
    text = f"0x{value:040x}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    try:
        found = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != 20 or not text.startswith("0x"):
        raise InputError(f"{place}: {value!r} is no address. Write 0x and 40 hex digits, in quotes.")
    return found


class Supplement:
    """Facts beyond the logs: what is given, else what was observed."""

    def __init__(self, given: Given, observations: pa.Table | None = None) -> None:
        self._given = given
        self._seen: dict[tuple[bytes, str], list[tuple[int, bytes]]] = defaultdict(list)
        self._prices: dict[bytes, dict[int, int]] = defaultdict(dict)
        if observations is not None and observations.num_rows:
            self._take_in(observations)

    def _take_in(self, observations: pa.Table) -> None:
        names = ("block_number", "target", "call", "arguments", "answer")
        for block, target, call, arguments, answer in zip(
            *(observations.column(name).to_pylist() for name in names), strict=True
        ):
            if call == ASSET_PRICE and len(arguments) == 32 and len(answer) == 32:
                self._prices[arguments[12:]][block] = int.from_bytes(answer, "big")
            else:
                self._seen[target, call].append((block, answer))
        for answers in self._seen.values():
            answers.sort()

    def version(self, implementation: bytes, proxy: bytes, block: int) -> str | None:
        """Rule version of the implementation that a proxy got in a block."""
        given: str | None = self._given.of("versions", implementation)
        revision = self._ask(proxy, REVISION, block, exact=True)
        return given or _VERSION_OF_REVISION.get(revision if isinstance(revision, int) else 0)

    def known_version(self, implementation: bytes) -> str | None:
        """Rule version given for an implementation."""
        given: str | None = self._given.of("versions", implementation)
        return given

    def symbol(self, underlying: bytes) -> str | None:
        """Symbol of a token."""
        found: str | None = self._given.value("tokens", underlying, "symbol") or self._ask(underlying, SYMBOL, None)
        return found

    def decimals(self, underlying: bytes) -> int | None:
        """Decimals of a token, as given by hand; the logs have them otherwise."""
        found: int | None = self._given.value("tokens", underlying, "decimals")
        return found

    def aggregator(self, source: bytes, block: int) -> bytes | None:
        """The contract that logs the answers of a source."""
        given: bytes | None = self._given.value("sources", source, "aggregator")
        return given if given is not None else self._address(source, AGGREGATOR, block)

    def answer_before(self, source: bytes, block: int) -> int | None:
        """What a source answered just before a block."""
        given: int | None = self._given.value("sources", source, "answer")
        if given is not None:
            return given
        return self.answer_at(source, block - 1)

    def answer_at(self, source: bytes, block: int) -> int | None:
        """What a source was observed to answer at the end of a block."""
        found: int | None = self._ask(source, ANSWER, block, exact=True)
        return found

    def grace_period_s(self, sentinel: bytes, block: int) -> int | None:
        """A sentinel's grace period as it was when it came into force."""
        given: int | None = self._given.value("sentinels", sentinel, "grace_period_s")
        found: int | None = given if given is not None else self._ask(sentinel, GRACE_PERIOD, block)
        return found

    def sequencer_oracle(self, sentinel: bytes, block: int) -> bytes | None:
        """A sentinel's uptime feed as it was when it came into force."""
        given: bytes | None = self._given.value("sentinels", sentinel, "sequencer_oracle")
        return given if given is not None else self._address(sentinel, SEQUENCER_ORACLE, block)

    def curve(self, strategy: bytes) -> tuple[int, ...] | None:
        """Optimal usage, base rate and both slopes [ray] of a strategy of one reserve; None where one is not known."""
        found = [
            given
            if (given := self._given.value("strategies", strategy, name)) is not None
            else self._ask(strategy, call, None)
            for call, name in CURVE.items()
        ]
        return None if any(value is None for value in found) else tuple(found)

    def prices(self, asset: bytes) -> list[tuple[int, int]]:
        """Sampled or imported prices: (block, price at its end), in order."""
        return sorted(self._prices.get(asset, {}).items())

    def _address(self, target: bytes, call: str, block: int) -> bytes | None:
        found = self._ask(target, call, block)
        return bytes.fromhex(found[2:]) if isinstance(found, str) and int(found, 16) else None

    def _ask(self, target: bytes, call: str, block: int | None, *, exact: bool = False) -> Any:
        """The answer at a block: the last one until then, else the first one; None where there is none."""
        answers = self._seen.get((target, call))
        if not answers:
            return None
        place = len(answers) if block is None else bisect_right(answers, block, key=lambda answer: answer[0])
        if exact and (not place or answers[place - 1][0] != block):
            return None
        raw = answers[max(place - 1, 0)][1]
        kind = call.rpartition("(")[2].rstrip(")")
        try:
            return abi_decode([kind], raw)[0] if raw else None
        except DecodingError:
            return None


def covers(given: Given, target: bytes, signature: str) -> bool:
    """Whether a question is answered by hand."""
    part, key = _GIVEN_AS.get(signature, ("", ""))
    return given.value(part, target, key) is not None
