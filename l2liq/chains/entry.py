"""What YAML says about a chain, checked: the registry's entries and the ``rollup`` of a market file."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Annotated, Any, Self

from eth_utils.address import is_checksum_address, is_hex_address
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from l2liq.chains.chain import Chain, Finality
from l2liq.chains.clocks import Clocks
from l2liq.chains.dated import Dated, Span, Value, dated
from l2liq.chains.fees import SCHEMES, FeeRule, scalars_of
from l2liq.chains.moments import MomentText
from l2liq.chains.rollup import Kind, Ordering, OrderingPolicy, Rollup

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

MOST_SECONDS = 10 * 365 * 86_400
_TAGS = ("finalized", "safe", "latest")


def _address(value: Any) -> bytes:
    if not isinstance(value, str) or not is_hex_address(value) or not value.startswith("0x"):
        raise ValueError(f"{value!r} is no address. Write 0x and 40 hex digits.")
    if value[2:] not in (value[2:].lower(), value[2:].upper()) and not is_checksum_address(value):
        raise ValueError(f"{value} has a wrong checksum: one of its digits is mistyped. Copy it again.")
    return bytes.fromhex(value[2:])


def _finality(value: Any) -> Finality:
    if value in _TAGS:
        return Finality(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**6:
        return Finality(None, value)
    raise ValueError(f"{value!r} is no finality. Write {', '.join(_TAGS)}, or a number of confirmations.")


def _seconds(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_SECONDS:
        return value
    raise ValueError(f"{value!r} is no time that passes. Write whole seconds, 0 to {MOST_SECONDS:,}.")


Address = Annotated[bytes, BeforeValidator(_address)]
FinalityText = Annotated[Finality, BeforeValidator(_finality)]
Seconds = Annotated[int, BeforeValidator(_seconds)]
KindText = Annotated[Kind, Field(strict=False)]
OrderingText = Annotated[Ordering, Field(strict=False)]


class _Dated(BaseModel):
    model_config = STRICT
    from_s: MomentText = Field(alias="from")
    until_s: MomentText | None = Field(default=None, alias="until")


class _Clocks(_Dated):
    publication_s: Seconds
    l1_finality_s: Seconds
    settlement_s: Seconds
    source: str = Field(min_length=1, max_length=500)

    @model_validator(mode="after")
    def _settled_last(self) -> Self:
        if self.settlement_s < self.l1_finality_s:
            raise ValueError(
                f"settlement_s {self.settlement_s} is less than l1_finality_s {self.l1_finality_s}: both count from "
                "publication, and what L1 accepted is no more final than the batch. Raise settlement_s."
            )
        return self

    def value(self) -> Clocks:
        return Clocks(self.publication_s, self.l1_finality_s, self.settlement_s, self.source)


class _OrderingPolicy(_Dated):
    policy: OrderingText
    lane_delay_ms: NonNegativeInt = 0

    def value(self) -> OrderingPolicy:
        return OrderingPolicy(self.policy, self.lane_delay_ms)


class _Fees(_Dated):
    scheme: str
    scalars: dict[str, NonNegativeInt] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.scheme not in SCHEMES:
            raise ValueError(f"{self.scheme!r} is no fee scheme. Known are {', '.join(SCHEMES)}.")
        if strange := sorted(set(self.scalars) - set(scalars_of(self.scheme))):
            raise ValueError(f"the fee scheme {self.scheme} has no {', '.join(strange)}.")
        return self

    def value(self) -> FeeRule:
        return FeeRule(self.scheme, MappingProxyType(self.scalars))


class RollupEntry(BaseModel):
    """What makes a chain a rollup; all of it can be left out."""

    model_config = STRICT
    kind: KindText = Kind.UNKNOWN
    genesis: MomentText = 0
    ordering: list[_OrderingPolicy] = Field(default_factory=list)
    clocks: list[_Clocks] = Field(default_factory=list)
    fees: list[_Fees] = Field(default_factory=list)
    forced_inclusion_s: Seconds | None = None
    uptime_feed: Address | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        self.rollup()
        return self

    def rollup(self) -> Rollup:
        """The rollup it describes. Raises ValueError for spans that overlap or begin before genesis."""
        return Rollup(
            self.kind,
            self.genesis,
            _spans("ordering", [(one, one.value()) for one in self.ordering], self.genesis),
            _spans("clocks", [(one, one.value()) for one in self.clocks], self.genesis),
            _spans("fees", [(one, one.value()) for one in self.fees], self.genesis),
            self.forced_inclusion_s,
            self.uptime_feed,
        )


def _spans(name: str, found: Sequence[tuple[_Dated, Value]], genesis_s: int) -> Dated[Value]:
    try:
        return dated([Span(one.from_s, one.until_s, value) for one, value in found], genesis_s)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


class ChainEntry(RollupEntry):
    """One chain of the registry. ``chain_id`` 0: it has none (no EVM behind it), and its name stands for it."""

    chain_id: NonNegativeInt
    block_time_ms: PositiveInt
    cell_blocks: PositiveInt
    finality: FinalityText
    explorer: str | None = None

    def chain(self, name: str) -> Chain:
        return Chain(
            name, self.chain_id, self.block_time_ms, self.cell_blocks, self.finality, self.explorer, self.rollup()
        )
