"""What a report is made of: values only, so that rendering neither reads the lake nor computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from l2liq.market import Asset


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric in the three worlds.

    Attributes
    ----------
    metric, label, meaning : name in METRICS, words for people, what it measures
    unit : ``usd``, ``count``, ``share``, ``s``, ``index``
    actual, control, alternative : values; None where the metric does not exist in that world
    effect, model_error : alternative - control, control - actual
    gross_error : sum over accounts of abs(control - actual); None for what is no sum over accounts
    low, high : 95 % interval of the effect from resampling days in blocks; None where it cannot be computed
    within_error : abs(effect) < abs(model_error)
    lower_is_better : None where neither is
    """

    metric: str
    label: str
    meaning: str
    unit: str
    actual: float | None
    control: float | None
    alternative: float | None
    effect: float | None
    model_error: float | None
    gross_error: float | None
    low: float | None
    high: float | None
    within_error: bool
    lower_is_better: bool | None


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of an account's timeline."""

    timestamp_s: int
    world: str
    kind: str
    text: str
    transaction_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Fate:
    """An account whose fate the change altered, with its timeline.

    ``difference_usd``: collateral lost in the alternative minus collateral lost in the control world.
    """

    account: bytes
    difference_usd: float
    summary: str
    timeline: tuple[Happening, ...]


@dataclass(frozen=True)
class Path:
    """A price path for pictures: ``usd`` holds from ``timestamp_s`` on; thinned to what a screen can show.

    ``seen_usd``: what the alternative's market saw of it through another oracle; None where it has none.
    """

    asset: int
    timestamp_s: npt.NDArray[np.int64] = field(repr=False)
    usd: npt.NDArray[np.float64] = field(repr=False)
    seen_usd: npt.NDArray[np.float64] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Gap:
    """How far the price that the alternative's market saw of an asset was from the world's.

    Attributes
    ----------
    asset : the market's number
    compared_s : how long the two were compared, from the change on [s]
    mean_share : mean distance over that time, as a share of the world's price
    most_above_share, most_below_share : farthest above and below; 0 where it never was
    apart_s : how long it was more than 1 % away [s]
    """

    asset: int
    compared_s: int
    mean_share: float
    most_above_share: float
    most_below_share: float
    apart_s: int


@dataclass(frozen=True)
class HealthHistogram:
    """Debt by health factor before the worst hour, per world.

    ``edges`` shape (n + 1,); ``debt_usd`` world -> shape (n,); ``at_s`` the moment; ``why`` which hour it precedes.
    """

    at_s: int
    why: str
    edges: tuple[float, ...]
    debt_usd: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class ModesApart:
    """The alternative world with recorded and with re-executed interest over the same stretch of the window.

    ``metrics``: metric to its value recorded, re-executed.
    """

    from_s: int
    to_s: int
    transactions: int
    of: int
    disagreeing: int
    metrics: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Feedback:
    """How the alternative came to rest where its oracles follow its liquidators' sales.

    Attributes
    ----------
    rounds : replays
    final_until_s : it came to rest up to here, None = everywhere
    moving_usd : debt repaid that the last replay still put elsewhere, account by account
    """

    rounds: int
    final_until_s: int | None
    moving_usd: float


@dataclass(frozen=True, slots=True)
class Delays:
    """How far the later clocks of the rollup run behind in [``from_s``, ``until_s``) [s]; see DOMAIN §5.1."""

    from_s: int
    until_s: int | None
    publication_s: int
    l1_finality_s: int
    settlement_s: int
    source: str


@dataclass(frozen=True)
class RunBundle:
    """Everything a report shows.

    Attributes
    ----------
    run_id, market, title : names; ``title`` is the scenario's
    explorer : transaction URL with ``{hash}`` in it, None where the chain has no explorer
    window_s : first and last second
    changes : the change in words, one per lever (``WETH liquidation threshold: 82.5 % → 80.5 %``)
    change_s : when it takes effect, None = before the window
    comparisons : headline metrics first
    by_asset : metric rows of METRICS that carry an asset, all worlds
    policies : metric -> policy (skip, clip, freeze) -> alternative's value
    variants : model -> its other setting -> metric -> alternative's value under it
    paths : prices of the assets that matter most
    sequencer_down_s : spans in which the sequencer was down
    changed_itself : accounts that the change itself put below health 1
    validity : name -> value, shares between 0 and 1 (skipped_value_share, …), ``half_diverged_at_s``
    distance : how far recorded interest is from re-executed interest, None where it was not measured
    assumptions, notes : sentences
    excluded : number of accounts that were left out of both worlds, as the change itself makes them liquidatable
    null_test : ``compared`` and ``equal`` numbers, ``recorded`` and ``reproduced`` liquidations of the data; None
        where it was not tested
    roots : dataset -> hex root; ``manifest`` as published
    liquidators : address to name of who competes in the model worlds
    gaps : of the assets with another oracle in the alternative
    feedback : of sales into oracles, None where these do not follow
    clocks : of the window, in order; none where the chain has no such clocks
    """

    run_id: str
    market: str
    title: str
    description: str
    explorer: str | None
    window_s: tuple[int, int]
    changes: tuple[str, ...]
    change_s: int | None
    assets: tuple[Asset, ...]
    comparisons: tuple[Comparison, ...]
    metrics: pa.Table = field(repr=False)
    policies: Mapping[str, Mapping[str, float]]
    outcomes: pa.Table = field(repr=False)
    accounts: pa.Table = field(repr=False)
    paths: tuple[Path, ...] = field(repr=False)
    sequencer_down_s: tuple[tuple[int, int], ...]
    health: HealthHistogram | None
    fates: tuple[Fate, ...] = field(repr=False)
    changed_itself: tuple[bytes, ...]
    excluded: int
    validity: Mapping[str, float | None]
    distance: ModesApart | None
    assumptions: tuple[str, ...]
    notes: tuple[str, ...]
    null_test: Mapping[str, int] | None
    roots: Mapping[str, str]
    manifest: Mapping[str, Any] = field(repr=False)
    clocks: tuple[Delays, ...] = ()
    feedback: Feedback | None = None
    gaps: tuple[Gap, ...] = ()
    liquidators: Mapping[bytes, str] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
