"""What did not reach L1 while settlement failed, in a report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from l2liq.metrics.exposure import exposure
from l2liq.outcome import World
from l2liq.report import words
from l2liq.report.bundle import RunBundle
from l2liq.report.figures import new_figure, shade
from l2liq.report.outcomes import (
    MODELLED,
    add_steps,
    block_of_scenario,
    floats,
    liquidations,
    second_of,
    seized,
)
from l2liq.report.section import Section, Table


def failing(bundle: RunBundle) -> Section | None:
    """What did not reach L1 while settlement failed; None where the scenario lets nothing fail."""
    spec = block_of_scenario(bundle, "settlement")
    if not any(spec.get(name) for name in ("batch_poster_stopped", "prover_stopped", "challenged")):
        return None
    stopped = bool(spec.get("batch_poster_stopped"))
    column, what = ("published_s", "publication") if stopped else ("settled_s", "settlement")
    most = {world: _most_open(bundle, world, column) for world in MODELLED}
    longest = {world: _longest(bundle, world, column) for world in MODELLED}
    figure = new_figure()
    for world in MODELLED:
        done = liquidations(bundle, world)
        add_steps(bundle, figure, world, *exposure(done["timestamp_s"].to_numpy(), floats(done, column), seized(done)))
    shade(figure, [(second_of(span["from"]), second_of(span["to"])) for span in _spans(spec)])
    figure.update_yaxes(tickformat="$,.3s", rangemode="tozero")
    clocks = (("published_s", "publication"), ("l1_final_s", "finality on L1"), ("settled_s", "settlement"))
    rows = []
    for name, clock in clocks:
        values = [(_most_open(bundle, world, name), _longest(bundle, world, name)) for world in MODELLED]
        rows.append((f"waiting for {clock} at once, at most", *(words.usd(usd) for usd, _ in values)))
        rows.append((f"longest wait for {clock}", *(words.duration(seconds) for _, seconds in values)))
    return Section(
        "settlement-failure",
        "Settlement fails",
        f"The rollup goes on while L1 hears nothing of it: what is executed meanwhile rests on the word of its "
        f"operator alone. In the alternative world at most {words.usd(most[World.ALTERNATIVE])} of seized collateral "
        f"waits for {what} at once, and {words.duration(longest[World.ALTERNATIVE])} at the longest; in the control "
        f"world it is {words.usd(most[World.CONTROL])} and {words.duration(longest[World.CONTROL])}. That is what a "
        "reorganisation or a root that does not hold could take back.",
        figure,
        (Table(("", *(world.value for world in MODELLED)), tuple(rows)),),
    )


def _spans(spec: dict[str, Any]) -> Iterable[dict[str, str]]:
    return (*spec.get("batch_poster_stopped", ()), *spec.get("prover_stopped", ()))


def _most_open(bundle: RunBundle, world: World, column: str) -> float:
    done = liquidations(bundle, world)
    _, usd = exposure(done["timestamp_s"].to_numpy(), floats(done, column), seized(done))
    return float(usd.max()) if len(usd) else 0.0


def _longest(bundle: RunBundle, world: World, column: str) -> float | None:
    done = liquidations(bundle, world)
    waits = floats(done, column) - done["timestamp_s"].to_numpy()
    return float(np.nanmax(waits)) if len(waits) and not np.isnan(waits).all() else None
