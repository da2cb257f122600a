"""Governance events: addresses, versions and parameters (DOMAIN §1.8, §1.11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from l2liq.errors import InputError
from l2liq.events.log import block_of
from l2liq.protocols.aave_v3.fold_events import Batch
from l2liq.protocols.aave_v3.fold_feeds import FeedFold
from l2liq.protocols.aave_v3.fold_rows import NO_ADDRESS, BatchRows
from l2liq.protocols.aave_v3.fold_state import (
    Book,
    FoldState,
    ListedAsset,
    Listing,
    Reserve,
    collateral_leg,
    debt_leg,
)
from l2liq.protocols.aave_v3.fold_tokens import TokenFold
from l2liq.protocols.aave_v3.parameters import EMode, ReserveParameters
from l2liq.protocols.aave_v3.supplement import Supplement
from l2liq.protocols.aave_v3.versions import rule_set

POOL_ID = b"POOL".ljust(32, b"\0")
CONFIGURATOR_ID = b"POOL_CONFIGURATOR".ljust(32, b"\0")

CURVE = ("optimal_usage_ray", "base_rate_ray", "slope1_ray", "slope2_ray")
"""Fields of a reserve's parameters that make its curve of rates, in the order of the contracts."""

_RAY_PER_BPS = 10**23

_RESERVE_FIELDS: Mapping[str, tuple[str, ...]] = {
    "BorrowCapChanged": ("borrow_cap",),
    "BorrowableInIsolationChanged": ("borrowable_in_isolation",),
    "CollateralConfigurationChanged": ("ltv_bps", "liquidation_threshold_bps", "liquidation_bonus_bps"),
    "DebtCeilingChanged": ("debt_ceiling",),
    "LiquidationGracePeriodChanged": ("grace_until_s",),
    "LiquidationProtocolFeeChanged": ("protocol_fee_bps",),
    "ReserveActive": ("active",),
    "ReserveBorrowing": ("borrowing",),
    "ReserveFlashLoaning": ("flash_loans",),
    "ReserveFrozen": ("frozen",),
    "ReservePaused": ("paused",),
    "SiloedBorrowingChanged": ("siloed",),
    "SupplyCapChanged": ("supply_cap",),
}
"""Configurator events that set fields of one reserve to their arguments, in order."""

_FIELDS_OF_MODE: Mapping[str, str] = {
    "AssetBorrowableInEModeChanged": "borrowable",
    "AssetCollateralInEModeChanged": "collateral",
    "AssetLtvzeroInEModeChanged": "ltv_zero",
}
"""Configurator events that put a reserve into a set of a category, or take it out."""


class ConfigFold:
    """Governance events of one batch. A run of changes in one transaction is one parameter set."""

    def __init__(
        self,
        state: FoldState,
        batch: Batch,
        rows: BatchRows,
        tokens: TokenFold,
        feeds: FeedFold,
        provider: bytes,
        known: Supplement,
    ) -> None:
        self._state = state
        self._config = state.configuration
        self._batch = batch
        self._rows = rows
        self._tokens = tokens
        self._feeds = feeds
        self._provider = provider
        self._known = known
        self._upgraded: list[tuple[bytes, str | None]] = []
        self._names: frozenset[str] = frozenset()

    def handlers(self) -> dict[str, Callable[..., None]]:
        """What handles each governance event, by its name."""
        from_provider: dict[str, Callable[..., None]] = {
            "ProxyCreated": self._proxy_created,
            "PriceOracleUpdated": self._feeds.oracle_changed,
            "PriceOracleSentinelUpdated": self._feeds.sentinel_changed,
        }
        from_configurator: dict[str, Callable[..., None]] = {
            "ReserveInitialized": self._listed,
            "ReserveDropped": self._dropped,
            "ReserveFactorChanged": self._reserve_factor,
            "ReserveInterestRateDataChanged": self._rate_data,
            "ReserveInterestRateStrategyChanged": self._rate_strategy,
            "PendingLtvChanged": self._pending_ltv,
            "LiquidationGracePeriodDisabled": self._grace_disabled,
            "EModeAssetCategoryChanged": self._category_of_asset,
            "EModeCategoryAdded": self._category,
            "EModeCategoryIsolationChanged": self._category_isolated,
            "FlashloanPremiumTotalUpdated": self._premium_total,
            "FlashloanPremiumToProtocolUpdated": self._premium_to_protocol,
        }
        from_configurator |= {name: self._setter(fields) for name, fields in _RESERVE_FIELDS.items()}
        from_configurator |= {name: self._member(field) for name, field in _FIELDS_OF_MODE.items()}
        from_anybody: dict[str, Callable[..., None]] = {
            "Initialized": self._initialized,
            "Upgraded": self._upgrade,
            "AssetSourceUpdated": self._feeds.source,
            "BaseCurrencySet": self._feeds.base_currency,
            "GracePeriodUpdated": self._feeds.grace_period,
            "SequencerOracleUpdated": self._feeds.sequencer_oracle,
        }
        guarded = {name: self._guard(handler, "provider") for name, handler in from_provider.items()}
        guarded |= {name: self._guard(handler, "configurator") for name, handler in from_configurator.items()}
        guarded |= {name: self._guard(handler, "") for name, handler in from_anybody.items()}
        self._names = frozenset(guarded)
        return guarded

    def _guard(self, handler: Callable[..., None], sender: str) -> Callable[..., None]:
        """Only the market's own contracts count; a run of changes ends before the first event of another kind."""

        def handle(at: int, emitter: bytes, *arguments: Any) -> None:
            expected = {"provider": self._provider, "configurator": self._state.configurator, "": emitter}[sender]
            if emitter == expected:
                handler(at, emitter, *arguments)
            if not self._continues(at):
                self._settle(at)

        return handle

    def _continues(self, at: int) -> bool:
        batch, following = self._batch, at + 1
        return (
            following < len(batch.names)
            and batch.transactions[following] == batch.transactions[at]
            and batch.names[following] in self._names
        )

    def _settle(self, at: int) -> None:
        for proxy, version in self._upgraded:
            self._use_token_version(at, proxy, version)
        self._upgraded.clear()
        frozen = self._config.frozen()
        if frozen != self._state.timeline[-1][2]:
            self._state.timeline.append((int(self._batch.keys[at]), self._batch.seconds[at], frozen))

    # --- addresses and versions ---------------------------------------------------------------------------------------

    def _proxy_created(self, at: int, emitter: bytes, name: bytes, proxy: bytes, implementation: bytes) -> None:
        if name == POOL_ID:
            self._state.pool = proxy
        elif name == CONFIGURATOR_ID:
            self._state.configurator = proxy
        self._state.implementations[proxy] = implementation
        version = self._known.known_version(implementation)
        if name == POOL_ID and version is not None:
            self._config.rules = rule_set(version)

    def _upgrade(self, at: int, proxy: bytes, implementation: bytes) -> None:
        known, block = self._known, block_of(int(self._batch.keys[at]))
        self._state.implementations[proxy] = implementation
        if proxy == self._state.pool:
            version = known.version(implementation, proxy, block)
            if version is None:
                raise InputError(
                    f"block {block:,}: the Pool gets the implementation 0x{implementation.hex()}, whose version is "
                    "unknown. Give it in the market's YAML under supplement.versions."
                )
            self._config.rules = rule_set(version)
        elif proxy in self._state.books:
            self._upgraded.append((proxy, known.known_version(implementation)))

    def _use_token_version(self, at: int, proxy: bytes, version: str | None) -> None:
        """Without a version of its own a token follows the Pool, unless that leaves a transfer's value open."""
        pool_rules = self._state.rules
        if version is None and not pool_rules.transfer_value_scaled:
            implementation = self._state.implementations[proxy].hex()
            raise InputError(
                f"block {block_of(int(self._batch.keys[at])):,}: the aToken 0x{proxy.hex()} gets the implementation "
                f"0x{implementation}, which may be the first one whose BalanceTransfer is scaled. Give its version in "
                "the market's YAML under supplement.versions."
            )
        self._state.books[proxy].use(rule_set(version) if version else pool_rules)

    def _initialized(self, at: int, token: bytes, asset: bytes, treasury: bytes, decimals: int, symbol: str) -> None:
        self._state.listings[token] = Listing(treasury, decimals, symbol)
        reserve = self._state.reserves.get(asset)
        if reserve is not None and reserve.collateral.address == token:
            self._config.treasury[reserve.asset] = treasury

    # --- reserves -----------------------------------------------------------------------------------------------------

    def _listed(
        self,
        at: int,
        emitter: bytes,
        asset: bytes,
        atoken: bytes,
        stable_token: bytes,
        debt_token: bytes,
        strategy: bytes,
    ) -> None:
        state = self._state
        listing = state.listings.get(atoken)
        known = state.reserves.get(asset)
        number = known.asset if known is not None else len(state.assets)
        reserve = Reserve(number, asset)
        reserve.collateral = Book(atoken, collateral_leg(number), False, reserve, state.rules)
        reserve.debt = Book(debt_token, debt_leg(number), True, reserve, state.rules)
        state.reserves[asset] = reserve
        state.books |= {atoken: reserve.collateral, debt_token: reserve.debt}
        if stable_token != NO_ADDRESS:
            state.stable_tokens.add(stable_token)
        treasury = listing.treasury if listing is not None else None
        if known is None:
            state.assets.append(self._asset(at, asset, listing))
            self._config.reserves.append(ReserveParameters())
            self._config.treasury.append(treasury)
        else:
            self._config.reserves[number] = ReserveParameters()
            self._config.treasury[number] = treasury
        self._rate_strategy(at, emitter, asset, strategy)
        self._tokens.begin(at, reserve)

    def _asset(self, at: int, asset: bytes, listing: Listing | None) -> ListedAsset:
        decimals = self._known.decimals(asset)
        if decimals is None and listing is not None:
            decimals = listing.decimals
        if decimals is None:
            raise InputError(
                f"block {block_of(int(self._batch.keys[at])):,}: the decimals of 0x{asset.hex()} are not in the logs "
                "(its aToken's Initialized is missing). Give them in the market's YAML under supplement.tokens."
            )
        symbol = self._known.symbol(asset) or (listing.symbol if listing is not None else "")
        return ListedAsset(asset, symbol, decimals)

    def _dropped(self, at: int, emitter: bytes, asset: bytes) -> None:
        reserve = self._state.reserves.get(asset)
        if reserve is not None:
            self._config.reserves[reserve.asset] = None

    def _setter(self, fields: tuple[str, ...]) -> Callable[..., None]:
        def change(at: int, emitter: bytes, asset: bytes, *values: Any) -> None:
            self._change(asset, dict(zip(fields, values, strict=True)))

        return change

    def _change(self, asset: bytes, fields: Mapping[str, Any]) -> None:
        reserve = self._state.reserves.get(asset)
        parameters = self._config.reserves[reserve.asset] if reserve is not None else None
        if reserve is not None and parameters is not None:
            self._config.reserves[reserve.asset] = replace(parameters, **fields)

    def _pending_ltv(self, at: int, emitter: bytes, asset: bytes, ltv: int) -> None:
        """A pending LTV means that the one in force is 0; taking it back restores it, until the next event."""
        reserve = self._state.reserves.get(asset)
        parameters = self._config.reserves[reserve.asset] if reserve is not None else None
        if ltv:
            self._change(asset, {"pending_ltv_bps": ltv, "ltv_bps": 0})
        elif parameters is not None and parameters.pending_ltv_bps is not None:
            self._change(asset, {"pending_ltv_bps": None, "ltv_bps": parameters.pending_ltv_bps})

    def _reserve_factor(self, at: int, emitter: bytes, asset: bytes, factor: int) -> None:
        self._synchronised(at, asset)
        self._change(asset, {"reserve_factor_bps": factor})

    def _rate_data(self, at: int, emitter: bytes, asset: bytes, data: bytes) -> None:
        """The curve of a strategy that serves many reserves: four words in bps."""
        self._synchronised(at, asset)
        words = [int.from_bytes(data[start : start + 32], "big") for start in range(0, 128, 32)]
        self._change(asset, dict(zip(CURVE, (bps * _RAY_PER_BPS for bps in words), strict=True)))

    def _rate_strategy(self, at: int, emitter: bytes, asset: bytes, strategy: bytes) -> None:
        """A strategy of the reserve's own has its curve from its constructor; it is not in the logs."""
        curve = self._known.curve(strategy)
        if curve is not None:
            self._change(asset, dict(zip(CURVE, curve, strict=True)))

    def _synchronised(self, at: int, asset: bytes) -> None:
        """The configurator accrued at the former terms before it changed them, and lets rates follow next."""
        reserve = self._state.reserves.get(asset)
        follows = at + 1 < len(self._batch.names) and self._batch.names[at + 1] == "ReserveDataUpdated"
        if reserve is not None and follows and self._state.rules.factor_change_accrues:
            self._tokens.accrue(at, reserve)
            self._rows.actions.extend((at + 1, "synchronise", -1, -1, reserve.asset, 0, False, 0))

    def _grace_disabled(self, at: int, emitter: bytes, asset: bytes) -> None:
        self._change(asset, {"grace_until_s": 0})

    # --- e-modes and the market as a whole ----------------------------------------------------------------------------

    def _category(
        self, at: int, emitter: bytes, number: int, ltv: int, threshold: int, bonus: int, oracle: bytes, label: str
    ) -> None:
        self._config.emodes[number] = replace(
            self._mode(number),
            ltv_bps=ltv,
            liquidation_threshold_bps=threshold,
            liquidation_bonus_bps=bonus,
            price_source=None if oracle == NO_ADDRESS else oracle,
            label=label,
        )

    def _category_isolated(self, at: int, emitter: bytes, number: int, isolated: bool) -> None:
        self._config.emodes[number] = replace(self._mode(number), isolated=isolated)

    def _category_of_asset(self, at: int, emitter: bytes, asset: bytes, number: int) -> None:
        reserve = self._state.reserves.get(asset)
        if reserve is None:
            return
        self._change(asset, {"emode_category": number})
        for category in [*self._config.emodes, number]:
            if category:
                for field in ("collateral", "borrowable"):
                    self._set_member(category, field, reserve.asset, category == number)

    def _member(self, field: str) -> Callable[..., None]:
        def change(at: int, emitter: bytes, asset: bytes, number: int, member: bool) -> None:
            reserve = self._state.reserves.get(asset)
            if reserve is not None:
                self._set_member(number, field, reserve.asset, member)

        return change

    def _set_member(self, number: int, field: str, asset: int, member: bool) -> None:
        mode = self._mode(number)
        present: frozenset[int] = getattr(mode, field)
        changed = present | {asset} if member else present - {asset}
        terms: dict[str, Any] = {field: changed}
        self._config.emodes[number] = replace(mode, **terms)

    def _mode(self, number: int) -> EMode:
        return self._config.emodes.get(number, EMode(0, 0, 0))

    def _premium_total(self, at: int, emitter: bytes, premium: int) -> None:
        self._config.flash_premium_total_bps = premium

    def _premium_to_protocol(self, at: int, emitter: bytes, premium: int) -> None:
        self._config.flash_premium_to_protocol_bps = premium
