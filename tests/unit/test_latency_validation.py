"""The latency model against liquidations that it was not fitted on: distances by hand, real data, mistakes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from l2liq.errors import InputError
from l2liq.liquidators import Apart, apart, kaplan_meier
from pipelines.cli.main import app
from pipelines.latency import validation

DAY = 86_400
MARCH_S = 1_677_628_800
SEPTEMBER_S = 1_661_990_400
waits = st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=30).map(
    lambda found: [*found, (7, True)]
)


@given(waits, waits)
def test_distances_are_those_of_every_block_in_turn(one: list[tuple[int, bool]], other: list[tuple[int, bool]]) -> None:
    fits = [kaplan_meier([w for w, _ in rows], [d for _, d in rows]) for rows in (one, other)]
    gaps = [abs(fits[0].within(block) - fits[1].within(block)) for block in range(51)]
    found = apart(*fits, 50)
    assert found.kolmogorov_smirnov == pytest.approx(max(gaps), abs=1e-12)
    assert found.wasserstein_1 == pytest.approx(sum(gaps[:-1]), abs=1e-9)
    assert apart(fits[0], fits[0], 50) == Apart(0.0, 0.0)
    assert apart(fits[1], fits[0], 50) == found


def line(day: int, distance: int | None, short: bool | None, protocol: str = "Aave") -> str:
    factor = {True: 0.99, False: 1.01, None: None}[short]
    entry = {
        "liquidation": {
            "timestamp": day * DAY,
            "protocol_name": protocol,
            "health_factor_start_of_block": factor,
        },
        "oracle_update": {"distance": distance},
    }
    return json.dumps({"opportunities": [entry]})


def told(folder: Path, *lines: str) -> Path:
    path = folder / "found.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_what_nobody_saw_begin_is_censored_and_what_nobody_knows_is_left_out(tmp_path: Path) -> None:
    before = [line(1, 1, True), line(2, 4, True), line(3, None, True), line(4, None, None), line(5, None, False)]
    after = [line(10, 4, True), line(11, 9, True, "Compound")]
    found = validation(told(tmp_path, *before, *after), 10 * DAY)
    (whole, aave) = found.predictions
    assert (whole.protocol, whole.horizon) == ("all", 9)
    assert (whole.fitted.waits, whole.fitted.observed) == ((1, 4, 9, 0), (True, True, False, True))
    assert (whole.fitted.liquidations, whole.fitted.same_block) == (5, 1)
    assert [whole.fit.within(block) for block in (0, 1, 4, 9)] == pytest.approx([0.25, 0.5, 0.75, 0.75])
    assert whole.error.kolmogorov_smirnov == pytest.approx(0.5)
    assert whole.error.wasserstein_1 == pytest.approx(0.25 * 1 + 0.5 * 3 + 0.25 * 5)
    assert aave.checked.waits == (4,)
    assert asdict(found.short["all"]) == {"liquidations": 7, "known": 6, "short": 5}
    assert found.short["Compound"].share == 1.0


def test_the_fit_on_arbitrum_until_february_and_what_came_after(shared_data: Path) -> None:
    """Fitted on everything it predicts badly: until Nitro every transaction was a block, and later keepers sped up."""
    path = shared_data / "l2-liquidations" / "liquidation_opportunities_arbitrum_to_2023-05.jsonl.gz"
    everything = validation(path, MARCH_S)
    whole = everything.predictions[0]
    assert (whole.fitted.liquidations, whole.checked.liquidations) == (3_778, 834)
    assert (len(whole.fitted.waits), len(whole.checked.waits)) == (3_116, 754)
    assert whole.error.kolmogorov_smirnov == pytest.approx(0.2775, abs=5e-4)
    assert whole.error.wasserstein_1 == pytest.approx(12.35, abs=0.05)
    assert not whole.holds

    nitro = validation(path, MARCH_S, fit_from_s=SEPTEMBER_S).predictions[0]
    assert nitro.error.kolmogorov_smirnov == pytest.approx(0.1120, abs=5e-4)
    assert nitro.error.wasserstein_1 == pytest.approx(1.85, abs=0.05)

    assert {name: (one.short, one.known) for name, one in everything.short.items()} == {
        "all": (3_808, 3_870),
        "Aave": (2_295, 2_296),
        "Compound": (1_513, 1_574),
    }


def test_the_command_tells_and_gives_json(tmp_path: Path) -> None:
    path = told(tmp_path, line(1, 1, True), line(2, 3, True), line(12, 3, False))
    words = ["latency", str(path), "--fit-until", "1970-01-11"]
    text = CliRunner().invoke(app, words)
    assert text.exit_code == 0
    assert "Kolmogorov–Smirnov distance 0.5" in text.output
    assert "2 of 3 recorded liquidations (66.67 %)" in text.output
    data = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert data["predictions"][0]["kolmogorov_smirnov"] == 0.5
    assert data["predictions"][0]["quantiles_blocks"][-1] == {"share": 0.5, "predicted": 3.0, "recorded": 3.0}


@pytest.mark.parametrize(
    ("lines", "until", "more", "message"),
    [
        (["nonsense"], 10, {}, ":1: no liquidation with its oracle update"),
        (['{"opportunities": [{"liquidation": {}}]}'], 10, {}, ":1: no liquidation with its oracle update"),
        ([line(1, 1, True), line(2, -1, True)], 10, {}, ":2: no liquidation with its oracle update"),
        ([""], 10, {}, "no liquidations. Give lines of"),
        ([line(1, 1, True)], 10, {}, "whose wait is known to compare with"),
        ([line(11, 1, True)], 10, {}, "whose wait is known to fit from"),
        ([line(1, 1, True)], 10, {"fit_from_s": 10 * DAY}, "the periods are empty"),
        ([line(1, 1, True)], 10, {"check_until_s": 9 * DAY}, "the periods are empty"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, lines: list[str], until: int, more: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validation(told(tmp_path, *lines), until * DAY, **more)
