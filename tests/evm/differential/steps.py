"""Steps as choices: small numbers that mean something in whatever state they meet, so that a failure shrinks."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.evm.market import Version

USERS = 4
"""Accounts that send transactions; the last of them is the one that may cover deficits."""

ERRAND = USERS
"""The account that acts in the middle of transactions."""

PRICE_MOVES_BPS = (9_500, 8_000, 10_300, 12_000, 5_000, 19_000)
"""Factors that a price moves by; ``number`` says which."""

PRICE_DOWN = (0, 1)

SIZES = ("share", "all", "all_but", "more_than_all", "dust", "everything", "nothing")
"""A share of what there is, exactly that, a little less or more, a few base units, 2^256 - 1, 0."""

WAITS_S = (1, 0, 13, 3600, 86_400, 30 * 86_400, 400 * 86_400)

_USER_KINDS = {
    "supply": 14, "withdraw": 10, "borrow": 20, "repay": 9, "repay_with_atokens": 6, "transfer": 5, "collateral": 7,
    "emode": 6, "liquidate": 22, "mint_to_treasury": 2, "donate": 2,
}  # fmt: skip
_GROUPS = {"flash": 5, "bundle": 3}
_INNER_KINDS = tuple(kind for kind in _USER_KINDS for _ in range(_USER_KINDS[kind]))
_WORLD = {"price": 12, "sequencer": 4}
_GOVERNANCE = {
    "reserve_factor": 2, "rates": 2, "collateral_terms": 3, "protocol_fee": 1, "supply_cap": 2, "borrow_cap": 2,
    "debt_ceiling": 2, "borrowable_in_isolation": 1, "siloed": 1, "borrowing": 1, "flash_loaning": 1, "active": 1,
    "freeze": 2, "pause": 2, "relief": 20, "emode_category": 2, "emode_asset": 2, "flash_premium": 2,
    "sentinel_grace": 1,
}  # fmt: skip
_ONLY_360 = {"cover_deficit": 8, "ltv_zero": 2, "emode_ltv_zero": 1, "end_grace": 1, "emode_borrowable": 1}


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction to be. What a kind has no use for is ignored.

    Attributes
    ----------
    who, other : users by number; ``other`` is whose position is meant, or who receives
    asset, second : reserves by number
    size : one of :data:`SIZES`; ``number`` says how large a share, or which value
    flag : yes or no
    wait : which of :data:`WAITS_S` passes before
    inner : what happens inside of it
    """

    kind: str
    who: int = 0
    other: int = 0
    asset: int = 0
    second: int = 0
    size: str = "share"
    number: int = 0
    flag: bool = False
    wait: int = 0
    inner: tuple[Step, ...] = ()


def _kinds(version: Version) -> list[str]:
    weights = {**_USER_KINDS, **_WORLD, **_GOVERNANCE, **(_ONLY_360 if version is Version.V360 else {})}
    return [kind for kind, weight in weights.items() for _ in range(weight)]


def steps(version: Version) -> st.SearchStrategy[Step]:
    """Steps as Hypothesis draws and shrinks them."""
    inner = st.lists(_single(list(_INNER_KINDS)), max_size=3).map(tuple)
    groups = st.builds(
        Step,
        kind=st.sampled_from(list(_GROUPS)),
        who=st.integers(0, USERS - 1),
        asset=st.integers(0, 3),
        second=st.integers(0, 3),
        size=st.sampled_from(SIZES),
        number=st.integers(0, 1000),
        flag=st.booleans(),
        inner=inner,
    )
    single = _single(_kinds(version))
    return st.one_of(single, single, single, single, single, single, single, single, groups)


def _single(kinds: list[str]) -> st.SearchStrategy[Step]:
    return st.builds(
        Step,
        kind=st.sampled_from(kinds),
        who=st.integers(0, USERS - 1),
        other=st.integers(0, USERS),
        asset=st.integers(0, 3),
        second=st.integers(0, 3),
        size=st.sampled_from(SIZES),
        number=st.integers(0, 1000),
        flag=st.booleans(),
        wait=st.sampled_from((*range(len(WAITS_S)), 0, 0, 2, 3)),
    )


def walk(version: Version, rng: random.Random, count: int) -> list[Step]:
    """As many steps of a long life, in which a year passes rarely and most shares are small."""
    kinds = _kinds(version)
    return [_walked(rng, kinds) for _ in range(count)]


def _walked(rng: random.Random, kinds: list[str]) -> Step:
    if rng.random() < 0.08:
        inner = tuple(_random(rng, _INNER_KINDS) for _ in range(rng.randrange(4)))
        kind = rng.choice([kind for kind, weight in _GROUPS.items() for _ in range(weight)])
        return Step(
            kind, rng.randrange(USERS), 0, rng.randrange(4), rng.randrange(4), _size(rng), rng.randrange(1001),
            rng.random() < 0.5, inner=inner,
        )  # fmt: skip
    return _random(rng, kinds)


def _random(rng: random.Random, kinds: list[str] | tuple[str, ...]) -> Step:
    return Step(
        rng.choice(kinds),
        rng.randrange(USERS),
        rng.randrange(USERS + 1),
        rng.randrange(4),
        rng.randrange(4),
        _size(rng),
        rng.randrange(1001),
        rng.random() < 0.5,
        rng.choices(range(len(WAITS_S)), (8, 2, 4, 4, 2, 0.4, 0.05))[0],
    )


def _size(rng: random.Random) -> str:
    return rng.choices(SIZES, (12, 3, 1, 0.7, 1.5, 3, 0.2))[0]
