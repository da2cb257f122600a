"""A liquidation bonus found by auction: the deeper an account is under water, the more of the bonus is paid.

No Aave v3 contract does this; newer lending markets start a Dutch auction at health 1. Here it is a function of the
health factor alone: what a liquidation pays can be told from the position, and a position can wait for a taker.
"""

from __future__ import annotations

from l2liq.numeric import BPS, WAD
from l2liq.protocols.aave_v3.parameters import AaveParameters


def paid_bonus_bps(bonus_bps: int, health_factor_wad: int | None, parameters: AaveParameters) -> int:
    """What a liquidator gets per unit of debt repaid at a health factor.

    The premium grows linearly from its start share at health 1 to the whole at ``bonus_auction_full_at_wad``, rounded
    down to whole basis points, and stays whole below.

    Parameters
    ----------
    bonus_bps : int
        The whole bonus, 10_000 + premium, as reserve or e-mode have it; 0 = not collateral.
    health_factor_wad : int | None
        Of the account before the liquidation; None = no debt, as good as any health of 1 and more.
    parameters : AaveParameters
        Start share and depth of the auction; a start share of 100 % is no auction.

    Returns
    -------
    int
        10_000 + premium paid; never more than ``bonus_bps``.
    """
    start_bps = parameters.bonus_auction_start_bps
    if start_bps == BPS or bonus_bps <= BPS:
        return bonus_bps
    depth_wad = WAD - parameters.bonus_auction_full_at_wad
    fallen_wad = 0 if health_factor_wad is None else min(max(WAD - health_factor_wad, 0), depth_wad)
    share = start_bps * depth_wad + (BPS - start_bps) * fallen_wad
    return BPS + (bonus_bps - BPS) * share // (BPS * depth_wad)
