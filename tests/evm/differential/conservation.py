"""Money is not made: what a reserve holds and is owed covers what it owes, and steps move the difference by roundings.

With everything in base units times a ray, so that nothing is rounded here, the surplus of a reserve is

    (cash + deficit) * RAY + scaled debt * borrow index - (scaled supply + accrued to treasury) * liquidity index

A recorded deficit stands on the side of what the reserve has: bad debt moves from the debt into it, and covering it
burns as many claims. Between two states after one transaction of n calls, with D the growth of the debt by interest:

- surplus falls by no more than what rounds against the reserve: until 3.4 everything is rounded half up, up to half a
  scaled unit for each token a call mints or burns and half a base unit for each amount it derives (two of each); since
  3.5 tokens and amounts are rounded for the reserve, and only the treasury's share of an accrual is half up;
- in one step suppliers and treasury together get no more than D. Rates and indices are rays rounded half up, which is
  an error of a few rays for each scaled unit and year; suppliers of a reserve that already lacks something are paid
  interest on that too;
- surplus rises by no more than D, as compound interest on debt exceeds linear interest on supply, and by roundings.

Three ways in which the contracts do make money are allowed for by their size:

- since 3.5 a liquidation of a debt against collateral of the same asset accrues the treasury's share twice;
- until 3.0.2 such a liquidation sets rates before the repaid debt has come in, so that until the next update suppliers
  earn as if that were lent out;
- until 3.0.2 a raised reserve factor takes its share at once, while suppliers go on earning at the former one's rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.evm.differential.state import MarketState, ReserveState
from tests.evm.market import Version

_RAY = 10**27
_BPS = 10_000
_YEAR_S = 31_536_000
_RATE_ERROR_RAYS = 4


@dataclass(frozen=True, slots=True)
class Taken:
    """What a step did that matters here.

    Attributes
    ----------
    calls : how many calls its transaction made
    same_asset : reserves whose debt was liquidated against collateral of the same asset
    raised_factors_bps : per reserve, by how much its factor exceeded the one its rates had been computed with
    given : reserve to base units sent to it without supplying them
    """

    calls: int
    same_asset: frozenset[int]
    raised_factors_bps: Sequence[int]
    given: Mapping[int, int]


def surplus(reserve: ReserveState) -> int:
    """What a reserve has beyond what it owes [base units times a ray]."""
    has = (reserve.cash + reserve.deficit) * _RAY + reserve.scaled_debt * reserve.borrow_index_ray
    return has - (reserve.scaled_supply + reserve.accrued_to_treasury) * reserve.liquidity_index_ray


class Conservation:
    """Watches the surplus of every reserve through one example."""

    def __init__(self, version: Version, reserves: int) -> None:
        self._version = version
        self._unseen = [0] * reserves
        """Base units that rates do not know of yet."""

    def check(self, before: MarketState, after: MarketState, taken: Taken) -> None:
        """AssertionError where a reserve gained or lost more than its step explains."""
        for number, (was, is_now) in enumerate(zip(before.reserves, after.reserves, strict=True)):
            elapsed_s = is_now.updated_s - was.updated_s
            grown = was.scaled_debt * (is_now.borrow_index_ray - was.borrow_index_ray)
            imprecise = _imprecision(was, is_now, elapsed_s)
            favourable = taken.calls * 2 * (_RAY + is_now.liquidity_index_ray + is_now.borrow_index_ray)
            against = favourable if self._version is Version.V302 else _RAY * (elapsed_s > 0)
            made = grown * taken.raised_factors_bps[number] // _BPS + self._overpaid(number, was, grown)
            if self._version is not Version.V302 and number in taken.same_asset:
                made += grown
            moved = surplus(is_now) - surplus(was) - self._gift(number, taken)
            assert -(against + imprecise + made) <= moved <= grown + imprecise + favourable, (
                f"reserve {number}: surplus moved by {moved} base units times a ray, growth of debt {grown}"
            )
            self._watch(number, was, is_now, taken)

    def _gift(self, number: int, taken: Taken) -> int:
        """What was given counts where the reserve's cash is what its aToken holds."""
        return taken.given.get(number, 0) * _RAY if self._version is Version.V302 else 0

    def _overpaid(self, number: int, was: ReserveState, grown: int) -> int:
        """Interest to suppliers as if what rates do not know of were lent out."""
        unseen = self._unseen[number]
        known = was.cash - unseen + was.scaled_debt * was.borrow_index_ray // _RAY
        return -(-grown * unseen // max(1, known)) if unseen else 0

    def _watch(self, number: int, was: ReserveState, is_now: ReserveState, taken: Taken) -> None:
        """Rates know everything once they are set again, except the debt that such a liquidation repaid."""
        gift = self._gift(number, taken) // _RAY
        before = (was.liquidity_rate_ray, was.borrow_rate_ray, was.updated_s, was.cash + gift)
        if before != (is_now.liquidity_rate_ray, is_now.borrow_rate_ray, is_now.updated_s, is_now.cash):
            repaid = (was.scaled_debt - is_now.scaled_debt) * is_now.borrow_index_ray
            same_asset = self._version is Version.V302 and number in taken.same_asset
            self._unseen[number] = max(0, -(-repaid // _RAY)) if same_asset else 0


def _imprecision(was: ReserveState, is_now: ReserveState, elapsed_s: int) -> int:
    """Errors of rates and indices, and interest on what is lacking already."""
    if not elapsed_s and is_now.liquidity_index_ray == was.liquidity_index_ray:
        return 0
    claims = was.scaled_supply + was.accrued_to_treasury
    per_unit = 2 + _RATE_ERROR_RAYS * is_now.liquidity_index_ray * elapsed_s // (_RAY * _YEAR_S)
    lacking = max(0, -surplus(was))
    growth = is_now.liquidity_index_ray - was.liquidity_index_ray
    return (claims + 2 * was.scaled_debt) * per_unit + -(-lacking * growth // was.liquidity_index_ray)
