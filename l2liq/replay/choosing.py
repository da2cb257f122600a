"""Which of the liquidations that the protocol accepts the liquidators of one world do."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from l2liq.protocols.interface import Liquidated, Moment, Rejection, Request
from l2liq.replay.plan import Plan
from l2liq.replay.rows import Rows

UNPROFITABLE = Rejection("unprofitable")
"""Why a liquidator leaves a liquidation alone that it could do."""

Attempt = Callable[[Request], Liquidated | Rejection]
"""What the protocol makes of a request."""


class Choosing:
    """Chooses among requests; what liquidators remember within one world is kept here."""

    def __init__(self, plan: Plan, rows: Rows) -> None:
        self._liquidator = plan.liquidator
        self._rows = rows

    def best(
        self, requests: Iterable[Request], now: Moment, try_out: Attempt, execute: Attempt | None = None
    ) -> tuple[Request, Liquidated] | Rejection | None:
        """The first request that the protocol accepts and the liquidator wants.

        Parameters
        ----------
        requests : Iterable[Request]
            Best first.
        now : Moment
            When.
        try_out : Attempt
            Tells what a request comes to, and changes nothing.
        execute : Attempt | None
            Does a request, in a world where doing may be refused though trying out was not; None = no such world.

        Returns
        -------
        tuple[Request, Liquidated] | Rejection | None
            The liquidation, done where ``execute`` is given; or why the best one is not; None where there is nothing
            to take.
        """
        refused: Rejection | None = None
        for request in requests:
            done = try_out(request)
            if isinstance(done, Liquidated) and not self._liquidator.wants(self._rows.offer(request, done, now)):
                done = UNPROFITABLE
            elif execute is not None:
                done = execute(request)
            if isinstance(done, Liquidated):
                return request, done
            refused = refused or done
        return refused
