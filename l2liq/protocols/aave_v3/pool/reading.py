"""What users asked for, read from what the logs show (DESIGN §9, intent).

The fold has settled most of it: whose position an action changes, who pays, what meant "all". Two things only a pool
that stands where history stood can tell: where in its transaction a flash loan began, which is logged when it ends, and
whether a liquidator asked for what it repaid or for more. Both are tried, and what gives the recorded numbers is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, product

from l2liq.protocols.interface import Action, Call

MOST_READINGS = 256
"""Ways to place the beginnings of a transaction's flash loans that are tried."""

_MOST_PLACES = 64 * MOST_READINGS

_ENDS = frozenset({"flash_repay", "flash_borrow"})


def readings(calls: Sequence[Call]) -> Iterator[list[Call]]:
    """The calls of one transaction with the beginnings of flash loans put in, likeliest places first.

    Flash loans that end side by side are one loan of several assets. It may have begun before any call after the loan
    that ended before it; the earliest place comes first, since most transactions with a flash loan are all inside it.
    Of two loans one is inside the other, or they follow each other.
    """
    runs = _runs(calls)
    if not runs:
        yield list(calls)
        return
    places = islice(product(*(range(first + 1) for first, _ in runs)), _MOST_PLACES)
    nested = (starts for starts in places if _nested(runs, starts))
    for starts in islice(nested, MOST_READINGS):
        yield _placed(calls, runs, starts)


def _nested(runs: list[tuple[int, int]], starts: Sequence[int]) -> bool:
    """Whether no loan begins in the middle of another one and ends after it."""
    return all(
        later <= starts[number] or later >= stop
        for number, (_, stop) in enumerate(runs)
        for later in starts[number + 1 :]
    )


def _runs(calls: Sequence[Call]) -> list[tuple[int, int]]:
    """Loans that end side by side: [first, stop) of each run."""
    runs: list[tuple[int, int]] = []
    for place, call in enumerate(calls):
        if not isinstance(call.what, Action) or call.what.kind not in _ENDS:
            continue
        if runs and runs[-1][1] == place and call.what.asset not in _assets(calls, runs[-1]):
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs


def _assets(calls: Sequence[Call], run: tuple[int, int]) -> set[int]:
    return {call.what.asset for call in calls[slice(*run)] if isinstance(call.what, Action)}


def _placed(calls: Sequence[Call], runs: list[tuple[int, int]], starts: Sequence[int]) -> list[Call]:
    taken: dict[int, list[Call]] = {}
    for (first, stop), start in reversed(list(zip(runs, starts, strict=True))):  # the outermost loan begins first
        for call in calls[first:stop]:
            assert isinstance(call.what, Action), "runs are of actions"
            take = replace(call.what, moment=calls[start].moment, kind="flash_take")
            taken.setdefault(start, []).append(Call(take.moment, take))
    placed: list[Call] = []
    for place, call in enumerate(calls):
        placed += [*taken.get(place, ()), call]
    return placed
