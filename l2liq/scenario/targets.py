"""Which reserve, e-mode and so on a scenario means by a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from l2liq.market import Market
from l2liq.protocols.levers import Lever, Levers, Target
from l2liq.scenario.document import shown
from l2liq.scenario.load import Loaded
from l2liq.scenario.model import change_fields
from l2liq.scenario.quantities import Adjustment

WHOLE_MARKET = Target(0, "")


@dataclass(frozen=True, slots=True)
class Change:
    """One lever of one target, and what is done to it; ``written`` is the target's name in the scenario."""

    lever: Lever
    target: Target
    adjustment: Adjustment
    written: str

    @property
    def place(self) -> tuple[str, ...]:
        """Where the scenario says it."""
        group = (self.lever.group, self.written) if self.lever.group else ()
        return ("change", *group, self.lever.name)

    @property
    def title(self) -> str:
        """``WETH liquidation threshold``."""
        return f"{shown(self.target.title)} {self.lever.title}" if self.lever.group else self.lever.title


def changes_of(loaded: Loaded, market: Market, levers: Levers) -> list[Change]:
    """The scenario's changes with their targets found in the market.

    Raises ScenarioError for a name that is unknown, stands for several targets, or repeats a target under another name.
    """
    names = {group: _Names(market, levers, group) for group in levers.groups}
    changes: list[Change] = []
    meant: dict[tuple[str, int], str] = {}
    for lever, written, adjustment in change_fields(getattr(loaded.scenario, "change"), levers):  # noqa: B009
        target = WHOLE_MARKET
        if lever.group:
            target = names[lever.group].find(loaded, written)
            first = meant.setdefault((lever.group, target.key), written)
            if first != written:
                raise loaded.error(
                    ("change", lever.group, written), f"is the same {levers.groups[lever.group]} as {first}. Keep one."
                )
        changes.append(Change(lever, target, adjustment, written))
    return changes


class _Names:
    """Targets of one group by every name they go by."""

    def __init__(self, market: Market, levers: Levers, group: str) -> None:
        self.group, self.singular = group, levers.groups[group]
        self.targets: Sequence[Target] = levers.targets(market, group)
        self.market = market.name

    def find(self, loaded: Loaded, written: str) -> Target:
        found = self._matches(written)
        if len(found) == 1:
            return found[0]
        place = ("change", self.group, written)
        if found:
            names = " or ".join(target.name for target in found)
            raise loaded.error(place, f"stands for {len(found)} {self.group} of {self.market}. Write {names} instead.")
        labels = [shown(target.label) for target in self.targets]
        known = [
            label if labels.count(label) == 1 else f"{label} ({target.name})"
            for label, target in zip(labels, self.targets, strict=True)
        ]
        close = get_close_matches(written, labels, n=1, cutoff=0.6)
        raise loaded.error(
            place,
            f"{self.market} has no such {self.singular}.{f' Did you mean {close[0]}?' if close else ''} "
            f"Known: {', '.join(known) or 'none'}.",
        )

    def _matches(self, written: str) -> list[Target]:
        word = written.strip()
        for fits in (
            lambda target: target.name == word.lower(),
            lambda target: word in target.aliases,
            lambda target: word.lower() in (alias.lower() for alias in target.aliases),
        ):
            if found := [target for target in self.targets if fits(target)]:
                return found
        return []


def with_canonical_names(effective: Mapping[str, object], changes: Sequence[Change]) -> dict[str, object]:
    """The effective scenario with each target under its canonical name."""
    change: dict[str, object] = {}
    for item in changes:
        holder = change
        if item.lever.group:
            group = change.setdefault(item.lever.group, {})
            assert isinstance(group, dict)
            holder = group.setdefault(item.target.name, {})
        holder[item.lever.name] = item.adjustment.written()
    return {**effective, "change": change}
