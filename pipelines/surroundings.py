"""What stands around a market: its rollup's clocks and fees, the base fees of headers, the inputs of transactions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

from l2liq.chains.dated import Dated, Span
from l2liq.chains.fees import FeeRule, FeeScheme, Prices, Size, scalars_of
from l2liq.chains.markets import Listing
from l2liq.chains.rollup import Rollup
from l2liq.errors import InputError, ScenarioError
from l2liq.events.log import BLOCKS
from l2liq.lake import BLOCK_DATA, Lake
from l2liq.liquidators import AssetPrice, BaseFees, Costs, FixedPrice, Spike
from l2liq.market import Market
from l2liq.scenario.compose import Composition
from l2liq.scenario.fees import Fees
from pipelines.calldata import Inputs, inputs_of, nothing_held
from pipelines.pools import Pools

GAS_TOKEN = "WETH"


@dataclass(frozen=True)
class Surroundings:
    """A market's rollup, and what its lake holds beside logs, read only where a scenario needs it.

    Attributes
    ----------
    headers : reads the block headers of the market (schema BLOCKS)
    inputs : reads the inputs of transactions in a span of blocks (schema INPUTS)
    pools : reads the files of pools' logs that scenarios name
    block_time_ms : nominal time between blocks [ms], None where it is not known
    """

    rollup: Rollup = field(default_factory=Rollup)
    headers: Callable[[], pa.Table] = BLOCKS.empty_table
    inputs: Inputs = nothing_held
    pools: Pools = field(default_factory=Pools)
    block_time_ms: int | None = None

    @cached_property
    def base_fees(self) -> BaseFees:
        """Base fees of all headers. Raises InputError where one of them has none."""
        table = self.headers().sort_by("number")
        fees = table.column("base_fee_wei")
        if fees.null_count:
            first = table.column("number")[fees.is_null().to_pylist().index(True)].as_py()
            raise InputError(
                f"the header of block {first:,} has no base fee: the source did not give it. Ingest headers with base "
                "fees, or write base_fee_wei as a number."
            )
        return BaseFees(table.column("number").to_numpy(), fees.to_numpy())


def surroundings_of(lake: Lake, listing: Listing) -> Surroundings:
    """What stands around a listed market."""
    slug = listing.deployment.slug
    chain = listing.chain
    return Surroundings(
        chain.rollup,
        lambda: lake.read(BLOCK_DATA, slug),
        inputs_of(lake, slug),
        Pools(chain),
        chain.block_time_ms,
    )


def costs_of(composition: Composition, market: Market, around: Surroundings) -> Costs | None:
    """The cost model of a scenario; None where it has no ``fees``.

    Raises ScenarioError where the chain's fees are not known in the whole window, a price or scalar is missing, or the
    market does not have the gas token.
    """
    fees = composition.scenario.fees
    if fees is None:
        return None
    try:
        return Costs(
            gas=fees.gas,
            size=Size(fees.transaction_bytes, fees.zero_bytes, fees.compressed_bytes, fees.pubdata_bytes),
            schemes=_schemes(fees, composition, around.rollup),
            base_fee=_base_fee(fees, composition, around),
            prices=Prices(
                base_fee=0,
                priority_fee=fees.priority_fee_wei,
                l1_base_fee=fees.l1_base_fee_wei,
                blob_base_fee=fees.blob_base_fee_wei,
                pubdata_price=fees.pubdata_price_wei,
            ),
            token=_token(fees, market),
        )
    except InputError as error:
        raise ScenarioError(f"{composition.scenario.name}: fees: {error}") from None


def spike_of(composition: Composition) -> Spike | None:
    """Other prices that the alternative pays for some time; None where the scenario has no such thing."""
    fees = composition.scenario.fees
    if fees is None or fees.spike is None:
        return None
    return Spike(fees.spike.start, fees.spike.stop, **fees.spike.prices())


def _schemes(fees: Fees, composition: Composition, rollup: Rollup) -> Dated[FeeScheme]:
    """The schemes of the window, each checked for what it needs."""
    first_s, last_s = composition.window.first.timestamp_s, composition.window.last.timestamp_s
    gap = rollup.fees.first_gap(first_s, last_s)
    if gap is not None:
        when = "before the chain's genesis" if gap < rollup.genesis_s else "then"
        raise InputError(
            f"what transactions cost is not known {when} (at {gap}). Choose another window, or say it under "
            "`rollup: fees:` of the market file."
        )
    spans = list(rollup.fees.within(first_s, last_s))
    known = {name for span in spans for name in scalars_of(span.value.scheme)}
    if strange := sorted(set(fees.scalars) - known):
        raise InputError(f"no fee scheme of the window has the scalars {', '.join(strange)}. Take them out.")
    return Dated(tuple(Span(span.from_s, span.until_s, _made(span.value, fees)) for span in spans))


def _made(rule: FeeRule, fees: Fees) -> FeeScheme:
    names = scalars_of(rule.scheme)
    scheme = rule.made({name: value for name, value in fees.scalars.items() if name in names})
    missing = sorted(f"{name}_wei" for name in scheme.needs if getattr(fees, f"{name}_wei") is None)
    if missing:
        raise InputError(f"the fee scheme {rule.scheme} needs {' and '.join(missing)}. Give them.")
    return scheme


def _base_fee(fees: Fees, composition: Composition, around: Surroundings) -> int | BaseFees:
    if fees.base_fee_wei is not None:
        return fees.base_fee_wei
    around.base_fees.at(composition.window.start)
    return around.base_fees


def _token(fees: Fees, market: Market) -> AssetPrice | FixedPrice:
    if fees.gas_token_usd is not None:
        return FixedPrice(fees.gas_token_usd)
    wanted = fees.gas_token or GAS_TOKEN
    found = [n for n, a in enumerate(market.assets) if wanted in (a.symbol, f"0x{a.address.hex()}")]
    if len(found) != 1:
        known = ", ".join(asset.symbol for asset in market.assets)
        have = "no" if not found else "more than one"
        raise InputError(
            f"the market has {have} asset {wanted!r} to price gas by. Write gas_token as one of {known} (or its "
            "address), or gas_token_usd as a number."
        )
    return AssetPrice(found[0])
