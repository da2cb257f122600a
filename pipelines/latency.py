"""How well the latency model predicts: fitted on recorded liquidations up to a day, compared with those after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from l2liq.errors import InputError
from l2liq.liquidators import Apart, Empirical, LatencyBlocks, apart, kaplan_meier
from pipelines.sources.opportunities import Opportunity, opportunities

QUANTILES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
ALL = "all"


@dataclass(frozen=True)
class Period:
    """The liquidations of a span of time as waits in blocks.

    Attributes
    ----------
    from_s, until_s : the span; None = open
    liquidations : in it, those of which nobody knows when the account fell short included
    waits : blocks from liquidatable to liquidated
    observed : whether that is when it was liquidated; False = it had waited so long and was not done yet
    """

    from_s: int | None
    until_s: int | None
    liquidations: int
    waits: tuple[int, ...]
    observed: tuple[bool, ...]

    @property
    def same_block(self) -> int:
        return sum(done and wait == 0 for wait, done in zip(self.waits, self.observed, strict=True))

    def fit(self) -> Empirical:
        """Distribution of the waits, Kaplan–Meier. Raises InputError where none was observed."""
        return kaplan_meier(self.waits, self.observed)


@dataclass(frozen=True)
class Prediction:
    """One fit and what came after it.

    Attributes
    ----------
    protocol : whose liquidations; ``all``
    fitted, checked : the two periods
    horizon : blocks up to which waits were observed [blocks]
    fit, came : their distributions
    error : how far the two are apart
    usual : how far the two halves of the fitted period are apart; None where a half has no liquidation
    """

    protocol: str
    fitted: Period
    checked: Period
    horizon: int
    fit: Empirical
    came: Empirical
    error: Apart
    usual: Apart | None

    @property
    def holds(self) -> bool:
        """Whether the fit errs by no more than what the halves of its own period differ by."""
        return self.usual is not None and self.error.kolmogorov_smirnov <= self.usual.kolmogorov_smirnov

    def quantiles(self) -> list[tuple[float, float | None, float | None]]:
        """(share, predicted, recorded) waits [blocks]; None = longer than anybody looked."""
        model = LatencyBlocks(self.fit)
        return [(q, model.delays_blocks.quantile(q), self.came.quantile(q)) for q in QUANTILES]


@dataclass(frozen=True, slots=True)
class Short:
    """Recorded liquidations whose account was liquidatable when the block began, of those of which that is known."""

    liquidations: int
    known: int
    short: int

    @property
    def share(self) -> float | None:
        return self.short / self.known if self.known else None


@dataclass(frozen=True)
class Validation:
    """What a file of recorded liquidations says of the latency model.

    Attributes
    ----------
    predictions : of all liquidations, then protocol by protocol where both periods have some
    short : protocol to its count over the whole file, ``all`` first
    """

    predictions: tuple[Prediction, ...]
    short: Mapping[str, Short]

    def plain(self) -> dict[str, Any]:
        """The numbers as JSON."""
        return {
            "predictions": [
                {
                    "protocol": one.protocol,
                    "horizon_blocks": one.horizon,
                    "kolmogorov_smirnov": one.error.kolmogorov_smirnov,
                    "wasserstein_1_blocks": one.error.wasserstein_1,
                    "halves_of_the_fitted_period": None if one.usual is None else asdict(one.usual),
                    "fitted": _told(one.fitted, one.fit, one.horizon),
                    "checked": _told(one.checked, one.came, one.horizon),
                    "quantiles_blocks": [
                        {"share": q, "predicted": predicted, "recorded": recorded}
                        for q, predicted, recorded in one.quantiles()
                    ],
                }
                for one in self.predictions
            ],
            "short_at_start_of_block": {name: {**asdict(one), "share": one.share} for name, one in self.short.items()},
        }


def validation(
    path: Path, fit_until_s: int, *, fit_from_s: int | None = None, check_until_s: int | None = None
) -> Validation:
    """Fit on liquidations before ``fit_until_s`` and compare with those from then on.

    Raises
    ------
    InputError
        A file of another kind; periods in the wrong order; a period without a liquidation whose wait is known.
    """
    if (fit_from_s is not None and fit_from_s >= fit_until_s) or (
        check_until_s is not None and check_until_s <= fit_until_s
    ):
        raise InputError("the periods are empty: the fit must begin before it ends, and the check end after that.")
    rows = opportunities(path)
    horizon = max((row.distance for row in rows if row.distance is not None), default=0)
    names = [ALL, *sorted({row.protocol for row in rows})]
    found = []
    for name in names:
        mine = [row for row in rows if name in (ALL, row.protocol)]
        fitted = period(mine, horizon, fit_from_s, fit_until_s)
        checked = period(mine, horizon, fit_until_s, check_until_s)
        if any(fitted.observed) and any(checked.observed):
            found.append(_prediction(name, fitted, checked, _halves(mine, horizon, fitted), horizon))
        elif name == ALL:
            which = "to fit from" if not any(fitted.observed) else "to compare with"
            raise InputError(
                f"{path}: no liquidation whose wait is known {which}. Choose other days (--fit-from, --fit-until)."
            )
    return Validation(tuple(found), {name: _short([r for r in rows if name in (ALL, r.protocol)]) for name in names})


def period(rows: Iterable[Opportunity], horizon: int, from_s: int | None, until_s: int | None) -> Period:
    """The waits of a span.

    An oracle update that was found says the wait. Where none was found although the account was short when the block
    began, it had waited longer than anybody looked: censored at the horizon. An account that was not short then became
    so in the block itself and waited for nothing. Of the others nothing is known, and they are left out.
    """
    inside = [
        row
        for row in rows
        if (from_s is None or from_s <= row.timestamp_s) and (until_s is None or row.timestamp_s < until_s)
    ]
    known = [(wait, done) for row in inside if (wait := _wait(row, horizon)) is not None for done in (_done(row),)]
    return Period(from_s, until_s, len(inside), tuple(wait for wait, _ in known), tuple(done for _, done in known))


def _wait(row: Opportunity, horizon: int) -> int | None:
    if row.distance is not None:
        return row.distance
    return {True: horizon, False: 0, None: None}[row.short_at_start]


def _done(row: Opportunity) -> bool:
    return row.distance is not None or row.short_at_start is False


def _halves(rows: Sequence[Opportunity], horizon: int, fitted: Period) -> tuple[Period, Period]:
    """The fitted period cut so that as many liquidations lie before the cut as after it."""
    from_s, until_s = fitted.from_s, fitted.until_s
    times = sorted(
        row.timestamp_s for row in rows if (from_s or 0) <= row.timestamp_s and row.timestamp_s < (until_s or 0)
    )
    middle_s = times[len(times) // 2]
    return period(rows, horizon, from_s, middle_s), period(rows, horizon, middle_s, until_s)


def _prediction(name: str, fitted: Period, checked: Period, halves: tuple[Period, Period], horizon: int) -> Prediction:
    fit, came = fitted.fit(), checked.fit()
    usual = apart(halves[0].fit(), halves[1].fit(), horizon) if all(any(half.observed) for half in halves) else None
    return Prediction(name, fitted, checked, horizon, fit, came, apart(fit, came, horizon), usual)


def _short(rows: Sequence[Opportunity]) -> Short:
    known = [row.short_at_start for row in rows if row.short_at_start is not None]
    return Short(len(rows), len(known), sum(known))


def _told(one: Period, distribution: Empirical, horizon: int) -> dict[str, Any]:
    return {
        "from_s": one.from_s,
        "until_s": one.until_s,
        "liquidations": one.liquidations,
        "waits_known": len(one.waits),
        "waits_observed": sum(one.observed),
        "same_block": one.same_block,
        "reached": {str(blocks): distribution.within(blocks) for blocks in (0, 1, 2, 5, 10, 20, 50, horizon)},
    }
