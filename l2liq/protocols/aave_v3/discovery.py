"""Which contracts a market consists of, found from its logs (DOMAIN §1.8, §1.9, §6.1).

The addresses provider names the Pool, the configurator, the oracle and the sentinel; the configurator lists reserves
and their tokens; the oracle names price sources; a source names its aggregator. What they do not log is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from l2liq.chains.deployment import Deployment
from l2liq.errors import InputError
from l2liq.events.filter import Filter
from l2liq.events.log import block_of
from l2liq.protocols.aave_v3 import supplement
from l2liq.protocols.aave_v3.consistency import Consistency
from l2liq.protocols.aave_v3.fold_config import CONFIGURATOR_ID, POOL_ID
from l2liq.protocols.aave_v3.fold_events import Batch, fold_topics, read_batch, wanted_events
from l2liq.protocols.aave_v3.fold_rows import NO_ADDRESS
from l2liq.protocols.aave_v3.supplement import Given, Supplement, covers, read_given
from l2liq.protocols.aave_v3.versions import rule_set
from l2liq.protocols.checking import Contradiction
from l2liq.protocols.interface import Question

_PROXY = fold_topics("proxy/proxy")
_SCALED = fold_topics("aave_v3/scaled_token")
_FEED = fold_topics("chainlink/aggregator") | fold_topics("chainlink/proxy")
_TOPICS: Mapping[str, frozenset[bytes]] = MappingProxyType(
    {
        "provider": fold_topics("aave_v3/pool_addresses_provider"),
        "pool": fold_topics("aave_v3/pool") | _PROXY,
        "configurator": fold_topics("aave_v3/pool_configurator") | _PROXY,
        "atoken": _SCALED | fold_topics("aave_v3/a_token") | _PROXY,
        "debt_token": _SCALED | _PROXY,
        "stable_token": fold_topics("aave_v3/stable_debt_token"),
        "oracle": fold_topics("aave_v3/oracle"),
        "sentinel": fold_topics("aave_v3/price_oracle_sentinel"),
        "feed": _FEED,
        "uptime_feed": _FEED | fold_topics("chainlink/sequencer_uptime_feed"),
    }
)
"""What is needed of a contract, by the part it plays."""

_ENTRIES = {"pool": "pool", "pool_configurator": "configurator", "oracle": "oracle"}
"""Contracts that a deployment may name beforehand; an oracle logs its first sources before the provider names it."""

_NAMING = (
    "ProxyCreated",
    "PriceOracleUpdated",
    "PriceOracleSentinelUpdated",
    "ReserveInitialized",
    "ReserveInterestRateStrategyChanged",
    "Upgraded",
    "AssetSourceUpdated",
    "AggregatorConfirmed",
    "SequencerOracleUpdated",
)
_NAMING_TOPICS = pa.array([w.abi.topic0 for w in wanted_events() if w.name in _NAMING], pa.binary(32))


_SPEAKERS = ("pool", "atoken", "debt_token")


class AaveDiscovery:
    """See :class:`l2liq.protocols.interface.Discovery`."""

    def __init__(self, deployment: Deployment) -> None:
        if "addresses_provider" not in deployment.addresses:
            raise InputError(
                f"{deployment.name}: the address of the addresses provider is missing (addresses_provider)"
            )
        rule_set(deployment.version)  # an unknown version is refused before anything is fetched for it
        self._given: Given = read_given(deployment.supplement)
        self._known = Supplement(self._given)
        self._provider = deployment.addresses["addresses_provider"]
        self._parts: dict[bytes, set[str]] = {self._provider: {"provider"}}
        for name, part in _ENTRIES.items():
            if name in deployment.addresses:
                self._add(deployment.addresses[name], part)
        self._questions: dict[tuple[bytes, str, int], Question] = {}
        self._oracle = deployment.addresses.get("oracle", NO_ADDRESS)
        self._assets: dict[bytes, None] = {}
        self._consistency = Consistency()
        self._strategies_are_silent = not rule_set(deployment.version).virtual_accounting

    def see(self, logs: pa.Table) -> None:
        """Take in raw logs (schema LOGS), in order; repeated logs do no harm.

        A contract may speak before it is named, as an oracle does whose constructor sets its sources: logs are read
        again until nobody new is named.
        """
        naming = logs.filter(pc.is_in(logs.column("topic0"), value_set=_NAMING_TOPICS))
        if naming.num_rows:
            batch = read_batch(naming)
            known = -1
            while known != (known := sum(map(len, self._parts.values()))):
                for at, name in enumerate(batch.names):
                    self._see(batch, at, name)

    def learn(self, observations: pa.Table) -> None:
        """Take in answers to questions (schema OBSERVATIONS): they may name further contracts."""
        self._known = Supplement(self._given, observations)
        for target, signature, block in list(self._questions):
            if signature == supplement.AGGREGATOR:
                self._forwarded(target, block, "uptime_feed" in self._parts[target])
            elif signature == supplement.SEQUENCER_ORACLE:
                self._sequencer_feed(self._known.sequencer_oracle(target, block), block)

    def contradictions(self, logs: pa.Table) -> Sequence[Contradiction]:
        """Indices that fall, and supplies below zero; see :mod:`.consistency`."""
        named = {part: {who for who, parts in self._parts.items() if part in parts} for part in _SPEAKERS}
        return list(self._consistency.see(logs, named["pool"], named["atoken"] | named["debt_token"]))

    def statements(self, block: int) -> Sequence[Question]:
        """The scaled supply of every token that was listed in the logs seen."""
        call, why = supplement.SCALED_SUPPLY, "what a token's mints and burns add up to"
        return [Question(token, call, block, why) for token in self._consistency.supply]

    def unexplained(self, logs: pa.Table, stated: Mapping[Question, bytes]) -> Sequence[Contradiction]:
        """Tokens whose mints and burns do not add up to their scaled supply; see :mod:`.consistency`."""
        supplies = {one.target: int.from_bytes(answer) for one, answer in stated.items() if len(answer) == 32}
        return list(self._consistency.reconcile(logs, supplies, max((one.block for one in stated), default=0)))

    def filter(self) -> Filter:
        """What is needed, as far as is known."""
        topics = {
            address: frozenset().union(*(_TOPICS[part] for part in parts)) for address, parts in self._parts.items()
        }
        return Filter(MappingProxyType(topics))

    def questions(self) -> Sequence[Question]:
        """What has to be asked of the chain once, as far as is known; answers given by hand are left out."""
        return [q for q in self._questions.values() if not covers(self._given, q.target, q.signature)]

    def prices(self, block: int) -> Sequence[Question]:
        """The oracle's prices of all listed assets at the end of ``block``."""
        call, why = supplement.ASSET_PRICE, "the price of an asset"
        return [Question(self._oracle, call, block, why, bytes(12) + asset) for asset in self._assets]

    def _see(self, batch: Batch, at: int, name: str) -> None:
        _, emitter, *arguments = batch.values[at]
        block = block_of(int(batch.keys[at]))
        parts = self._parts.get(emitter, set())
        if "provider" in parts:
            self._named_by_provider(name, arguments, block)
        elif name == "ReserveInitialized" and "configurator" in parts:
            self._listed(arguments, block)
        elif name == "ReserveInterestRateStrategyChanged" and "configurator" in parts:
            self._strategy(arguments[1], block)
        elif name == "AssetSourceUpdated" and "oracle" in parts:
            self._source(arguments[1], block)
        elif name == "SequencerOracleUpdated" and "sentinel" in parts:
            self._sequencer_feed(arguments[0], block)
        elif name == "AggregatorConfirmed" and parts & {"feed", "uptime_feed"}:
            self._add(arguments[0], *(parts & {"feed", "uptime_feed"}))
            self._ask(emitter, supplement.ANSWER, block, "the price at which a feed moved to another aggregator")
        elif name == "Upgraded" and "pool" in parts and self._given.of("versions", arguments[0]) is None:
            self._ask(emitter, supplement.REVISION, block, "the version of the Pool after an upgrade")

    def _named_by_provider(self, name: str, arguments: list[Any], block: int) -> None:
        if name == "ProxyCreated":
            part = {POOL_ID: "pool", CONFIGURATOR_ID: "configurator"}.get(arguments[0])
            if part is not None:
                self._add(arguments[1], part)
        elif name == "PriceOracleUpdated":
            self._oracle = arguments[0]
            self._add(self._oracle, "oracle")
        elif name == "PriceOracleSentinelUpdated" and arguments[0] != NO_ADDRESS:
            sentinel = arguments[0]
            self._add(sentinel, "sentinel")
            self._ask(sentinel, supplement.GRACE_PERIOD, block, "how long the sentinel waits after an outage")
            self._ask(sentinel, supplement.SEQUENCER_ORACLE, block, "which sequencer feed the sentinel reads")
            self._sequencer_feed(self._known.sequencer_oracle(sentinel, block), block)

    def _listed(self, arguments: list[Any], block: int) -> None:
        asset, atoken, stable_token, debt_token, strategy = arguments
        self._assets[asset] = None
        self._add(atoken, "atoken")
        self._add(debt_token, "debt_token")
        if stable_token != NO_ADDRESS:
            self._add(stable_token, "stable_token")
        self._ask(asset, supplement.SYMBOL, block, "what people call the asset")
        self._strategy(strategy, block)

    def _strategy(self, strategy: bytes, block: int) -> None:
        """A strategy of a reserve's own, before the strategies that serve many and log their curves."""
        if self._strategies_are_silent:
            for signature in supplement.CURVE:
                self._ask(strategy, signature, block, "how a reserve's rates follow its use")

    def _source(self, source: bytes, block: int) -> None:
        if source == NO_ADDRESS:
            return
        self._add(source, "feed")
        self._ask(source, supplement.AGGREGATOR, block, "which contract logs the prices of a source")
        self._ask(source, supplement.ANSWER, block - 1, "the price when a source came into use")
        self._forwarded(source, block, False)

    def _sequencer_feed(self, feed: bytes | None, block: int) -> None:
        if feed is not None:
            self._add(feed, "uptime_feed")
            self._ask(feed, supplement.AGGREGATOR, block, "which contract logs the sequencer's status")
            self._forwarded(feed, block, True)

    def _forwarded(self, source: bytes, block: int, uptime: bool) -> None:
        aggregator = self._known.aggregator(source, block)
        if aggregator is not None:
            self._add(aggregator, "uptime_feed" if uptime else "feed")

    def _add(self, address: bytes, *parts: str) -> None:
        self._parts.setdefault(address, set()).update(parts)

    def _ask(self, target: bytes, signature: str, block: int, why: str) -> None:
        self._questions.setdefault((target, signature, block), Question(target, signature, max(block, 0), why))
