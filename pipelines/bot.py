"""What one liquidator won and missed in a published run."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from l2liq.errors import InputError
from l2liq.lake.runs import Run
from l2liq.metrics.winnings import Share, share_of
from l2liq.outcome import World
from pipelines.bundle import manifest_of

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Bot:
    """One liquidator in the worlds of a run; ``name`` is empty where the scenario has none for it."""

    address: bytes
    name: str
    shares: tuple[Share, ...]

    @property
    def absence(self) -> str | None:
        """Why there is nothing to say of it, None where there is."""
        if any(
            share.own.liquidations or (share.takes_part and share.world is not World.ACTUAL) for share in self.shares
        ):
            return None
        return (
            f"0x{self.address.hex()} liquidated nothing in the window, and no world has it as a contestant. Give a "
            "contestant this address, or let the window be one in which it was at work."
        )

    def as_plain(self) -> dict[str, Any]:
        """As a program reads it."""
        worlds = {}
        for share in self.shares:
            own = {k: v for k, v in asdict(share.own).items() if k != "liquidator"} | {
                "profit_usd": share.own.profit_usd
            }
            missed = {name: getattr(share, name) for name in ("missed", "missed_debt_usd", "missed_bonus_usd")}
            worlds[share.world.value] = own | missed if share.takes_part else None
        return {"address": f"0x{self.address.hex()}", "name": self.name, "absent": self.absence, "worlds": worlds}


def checked(wanted: str) -> str:
    """An address or a contestant's name, as asked for on the command line. Raises InputError for a broken address."""
    if wanted.lower().startswith("0x") and not _ADDRESS.fullmatch(wanted):
        raise InputError(f"--liquidator {wanted}: this is no address. Write 0x and 40 hex digits.")
    return wanted


def bot_of(run: Run, wanted: str) -> Bot:
    """A liquidator of a run, by address or by its name among the contestants.

    Raises InputError where nobody has this name.
    """
    contestants = {bytes.fromhex(one.address[2:]): one.name for one in manifest_of(run).liquidators}
    if _ADDRESS.fullmatch(wanted):
        address = bytes.fromhex(wanted[2:])
    else:
        named = [address for address, name in contestants.items() if name == wanted]
        if not named:
            known = ", ".join(contestants.values()) or "none"
            raise InputError(
                f"--liquidator {wanted}: no contestant has this name. Known are {known}; or write an address."
            )
        (address,) = named
    outcomes = run.table("outcomes")
    shares = (share_of(outcomes, world, address, contestant=address in contestants) for world in World)
    return Bot(address, contestants.get(address, ""), tuple(shares))
