"""What a run emits: one row per thing that happened in a world, with the exact integers beside what people read."""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa


class World(StrEnum):
    ACTUAL = "actual"
    CONTROL = "control"
    ALTERNATIVE = "alternative"


class Kind(StrEnum):
    """Kinds of outcome events in lending."""

    LIQUIDATION = "liquidation"
    DEFICIT = "deficit"
    REJECTED = "rejected"
    CLIPPED = "clipped"
    UNFUNDED = "unfunded"
    BLOCKED = "blocked"
    MARGIN_CALL = "margin_call"
    REVERTED = "reverted"
    FAILED_ATTEMPT = "failed_attempt"


_EXACT = pa.decimal128(38, 0)

OUTCOMES = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("world", pa.string(), nullable=False),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("block_number", pa.int64(), nullable=False),
        pa.field("log_index", pa.int32()),
        pa.field("timestamp_s", pa.int64(), nullable=False),
        pa.field("transaction_hash", pa.binary(32)),
        pa.field("account", pa.binary(20), nullable=False),
        pa.field("liquidator", pa.binary(20)),
        pa.field("collateral_asset", pa.binary(20)),
        pa.field("debt_asset", pa.binary(20)),
        pa.field("collateral_amount_raw", pa.binary(32)),
        pa.field("collateral_amount", _EXACT),
        pa.field("debt_amount_raw", pa.binary(32)),
        pa.field("debt_amount", _EXACT),
        pa.field("protocol_fee_amount_raw", pa.binary(32)),
        pa.field("protocol_fee_amount", _EXACT),
        pa.field("collateral_price_base", _EXACT),
        pa.field("debt_price_base", _EXACT),
        pa.field("health_before_wad", _EXACT),
        pa.field("health_after_wad", _EXACT),
        pa.field("account_collateral_base", _EXACT),
        pa.field("account_debt_base", _EXACT),
        pa.field("collateral_usd", pa.float64()),
        pa.field("debt_usd", pa.float64()),
        pa.field("protocol_fee_usd", pa.float64()),
        pa.field("collateral_market_usd", pa.float64()),
        pa.field("debt_market_usd", pa.float64()),
        pa.field("liquidatable_since_s", pa.int64()),
        pa.field("cause", pa.string()),
        pa.field("action", pa.string()),
        pa.field("published_s", pa.int64()),
        pa.field("l1_final_s", pa.int64()),
        pa.field("settled_s", pa.int64()),
        pa.field("gas_used", pa.int64()),
        pa.field("l2_fee_wei", _EXACT),
        pa.field("l1_fee_wei", _EXACT),
        pa.field("fee_usd", pa.float64()),
        pa.field("health_before_market_wad", _EXACT),
        pa.field("proceeds_usd", pa.float64()),
        pa.field("slippage_usd", pa.float64()),
        pa.field("displaced_share", pa.float64()),
        pa.field("profit_usd", pa.float64()),
        pa.field("bid_usd", pa.float64()),
        pa.field("recaptured_usd", pa.float64()),
    ]
)
"""Outcome events, ordered by (world, sequence). Unused columns are null.

liquidation: collateral_amount goes to the liquidator, protocol fee apart; account_* are totals just before it;
``*_market_usd`` are collateral_amount and debt_amount at the world's prices, other ``_usd`` at those the market saw;
``liquidatable_since_s`` when the position first fell below; ``cause``: start, price, interest, governance, change
(the scenario's own change at its start), action, gate; ``published_s``, ``l1_final_s``, ``settled_s`` when its batch
is on L1, final there, and its state accepted, null where the chain has no such clock; ``gas_used``, ``l2_fee_wei``
and ``l1_fee_wei`` (execution, L1 data), both in ``fee_usd``, null where the scenario has no fees;
``health_before_market_wad`` is health before at the world's prices, null where the market saw those;
``proceeds_usd`` what selling collateral_amount yields, ``slippage_usd`` how much less than ``collateral_market_usd``
that is, ``displaced_share`` how far the asset's price stands below where it would be without the world's own sales
just after it (0.02 = 2 %), all null where the scenario has no liquidity and in the actual world;
``profit_usd`` what the liquidator was left at the world's prices or by its sale, after its transaction, its bid and
what else the scenario's model of it counts; ``bid_usd`` what it paid to come first, ``recaptured_usd`` the protocol's
part of that, both null where nobody pays for it; ``liquidator`` of a model world is the contestant's address, null
where the scenario names none. failed_attempt: a liquidator's transaction that found the position gone, with gas and
fees. deficit:
debt_asset, debt_amount, debt_usd. rejected, clipped, unfunded: ``action`` is the user action's kind, debt_asset and
debt_amount what was asked for and not done, ``cause`` the contract's reason. blocked: a liquidation that a gate or
missing cash held up, ``cause`` the gate. margin_call: first moment below health 1.
reverted: any other kind of row whose block was undone later; ``action`` is that kind, before the user action's.
``log_index`` is the log of what was recorded: every row of the actual world has one but a margin call, in control and
alternative only rejected, clipped and unfunded rows, which speak of a user's transaction; what a model decided has
none, and its ``timestamp_s`` is the moment of that, which may lie after the block's own. ``transaction_hash`` is known
for recorded liquidations."""

ACCOUNTS = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("world", pa.string(), nullable=False),
        pa.field("account", pa.binary(20), nullable=False),
        pa.field("collateral_base", _EXACT),
        pa.field("debt_base", _EXACT),
        pa.field("health_wad", _EXACT),
        pa.field("bad_debt_base", _EXACT),
        pa.field("borrowable_base", _EXACT),
        pa.field("repayable_base", _EXACT),
        pa.field("liquidations", pa.int32(), nullable=False),
        pa.field("collateral_lost_usd", pa.float64(), nullable=False),
        pa.field("debt_repaid_usd", pa.float64(), nullable=False),
        pa.field("diverged_at_s", pa.int64()),
        pa.field("sellable_usd", pa.float64()),
    ]
)
"""Accounts with debt or divergence, per world, at the window's end.

``bad_debt_base`` = max(0, debt - collateral). ``borrowable_base`` is the debt that the collateral would admit at
borrowing, ``repayable_base`` the debt that liquidators would repay for all of it. ``sellable_usd``: what selling all
collateral of a liquidatable account would yield; null for others, and where the scenario has no liquidity."""

METRICS = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("world", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("asset", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("unit", pa.string(), nullable=False),
    ]
)
"""Metrics per world; ``asset`` null = the whole market."""
