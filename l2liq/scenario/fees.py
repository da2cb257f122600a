"""How a scenario says what transactions cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from l2liq.scenario import quantities as q
from l2liq.scenario.sequencer import Span
from l2liq.scenario.typed import Strict, typed

_Wei = Annotated[int, Field(ge=0, le=q.MOST_WEI)]
_RecordedWei = Annotated[int | None, *typed(q.parse_recorded_wei, q.written_recorded_wei, q.RECORDED_WEI_SCHEMA)]


class FeeSpike(Span):
    """Other prices in the alternative for some time; what is left out stays as it is."""

    base_fee_wei: _Wei | None = None
    l1_base_fee_wei: _Wei | None = None
    blob_base_fee_wei: _Wei | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.prices():
            raise ValueError("no price changes. Give base_fee_wei, l1_base_fee_wei or blob_base_fee_wei.")
        return self

    def prices(self) -> dict[str, int]:
        """Name and value of the prices that it changes [wei]."""
        found = {name: getattr(self, f"{name}_wei") for name in ("base_fee", "l1_base_fee", "blob_base_fee")}
        return {name: wei for name, wei in found.items() if wei is not None}


class Fees(Strict):
    """What the transaction of every liquidation costs; liquidators pay it, and act whether it pays or not."""

    gas: int = Field(ge=1, le=10**9, description="Gas that its execution uses.")
    transaction_bytes: int = Field(ge=1, le=1 << 20, description="Size of the signed, encoded transaction.")
    zero_bytes: int = Field(default=0, ge=0, description="Zero bytes among them.")
    compressed_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Size after the chain's own compression (FastLZ, Brotli, zstd); null = nothing in it repeats, the "
        "most that L1 data can cost.",
    )
    pubdata_bytes: int = Field(default=0, ge=0, description="State changes that a zkSync batch publishes.")
    base_fee_wei: _RecordedWei = Field(
        default=None, description="Per gas; `recorded` = as the header of the block has it."
    )
    priority_fee_wei: _Wei = Field(default=0, description="Per gas.")
    l1_base_fee_wei: _Wei | None = Field(
        default=None, description="Per gas on L1, as the rollup knows it; on Arbitrum per unit of calldata."
    )
    blob_base_fee_wei: _Wei | None = Field(default=None, description="Per blob gas on L1, as the rollup knows it.")
    pubdata_price_wei: _Wei | None = Field(default=None, description="Per byte of pubdata (zkSync).")
    scalars: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description="What the operator sets in the fee scheme, where the registry has it otherwise.",
    )
    gas_token: str | None = Field(
        default=None,
        description="Asset of the market that gas is worth as much as, by symbol or address; WETH if null.",
    )
    gas_token_usd: Annotated[
        float | None,
        *typed(q.parse_price, lambda v: v, {"type": ["number", "null"], "exclusiveMinimum": 0}),
    ] = Field(default=None, description="Or a fixed price of the gas token.")

    spike: FeeSpike | None = Field(default=None, description="The alternative pays other prices for some time.")

    @model_validator(mode="after")
    def _parts_of_a_whole(self) -> Self:
        if self.zero_bytes > self.transaction_bytes:
            raise ValueError(f"{self.zero_bytes} zero bytes of {self.transaction_bytes} cannot be. Lower zero_bytes.")
        if self.gas_token is not None and self.gas_token_usd is not None:
            raise ValueError("`gas_token` and `gas_token_usd` are two prices of one token. Keep one of them.")
        return self


def spike_words(fees: Fees | None) -> Iterator[str]:
    """A spike of fees in words; nothing without one."""
    if fees is not None and fees.spike is not None:
        spike = fees.spike
        when = f"from {q.written_time(spike.start)} to {q.written_time(spike.stop)}"
        for name, wei in spike.prices().items():
            before = getattr(fees, f"{name}_wei")
            was = "as recorded" if before is None else _gwei(before)
            yield f"{name.replace('_', ' ').replace('l1', 'L1')} {when}: {was} → {_gwei(wei)}"


def _gwei(wei: int) -> str:
    return f"{wei / 10**9:,g} gwei"
