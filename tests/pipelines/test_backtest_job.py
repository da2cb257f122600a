"""The main job on synthetic markets: runs are what their scenario says, exist once, and can be verified."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

import pipelines.backtest
import pipelines.verify
from l2liq.errors import InputError, ScenarioError
from l2liq.lake import Lake
from l2liq.lake.runs import Run
from l2liq.market import Market
from l2liq.outcome import METRICS, Kind, World
from pipelines.backtest import backtest
from pipelines.bundle import bundle_of
from pipelines.cli import backtest as command
from pipelines.verify import verify
from tests.property.markets import Shape, grow

MARKET = "aave-v3/arbitrum"
"""Any registered name: the synthetic market takes its place in the lake."""


@pytest.fixture(scope="module")
def market() -> Market:
    """A market in which several accounts are liquidated."""
    return named(grow(8, Shape(accounts=14, blocks=120, volatility=0.09)))


def named(market: Market) -> Market:
    return replace(market, name=MARKET, slug="aave-v3-arbitrum")


@pytest.fixture
def lake(tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch) -> Lake:
    for module in (pipelines.backtest, pipelines.verify):
        monkeypatch.setattr(module, "load_market", lambda lake, listing: market)
    return Lake.create(tmp_path / "lake")


def scenario(folder: Path, market: Market, body: str = "", threshold: str = "{shift: -9pp}") -> Path:
    """A scenario that lowers the threshold of every collateral."""
    reserves = market.parameters.sets[-1].reserves
    lines = [
        f"    '0x{asset.address.hex()}': {{liquidation_threshold: {threshold}}}\n"
        for asset, reserve in zip(market.assets, reserves, strict=True)
        if reserve.liquidation_bonus_bps
    ]
    path = folder / "scenario.yaml"
    change = "change:\n  reserves:\n" + "".join(lines)
    path.write_text(f"name: lower\nmarket: {MARKET}\nallow_not_deployable: true\nheartbeat: 1d\n{body}{change}")
    return path


def one(lake: Lake, path: Path) -> Run:
    (found,) = backtest(lake, path)
    return found.run


def tables(run: Run) -> dict[str, pa.Table]:
    return {name: run.table(name) for name in ("outcomes", "accounts", "metrics")}


def world(table: pa.Table, name: World) -> list[dict[str, object]]:
    return [
        {key: value for key, value in row.items() if key not in ("world", "run_id")}
        for row in table.to_pylist()
        if row["world"] == name.value
    ]


def gross_of(column: str, run: Run) -> float:
    """Sum over accounts of what control and actual world differ by."""
    accounts = run.table("accounts")  # noqa: F841 (the query reads it)
    ((gross,),) = duckdb.sql(
        f"""WITH actual AS (FROM accounts WHERE world = 'actual'), control AS (FROM accounts WHERE world = 'control')
        SELECT sum(abs(coalesce(control.{column}, 0) - coalesce(actual.{column}, 0)))
        FROM actual FULL JOIN control USING (account)"""
    ).fetchall()
    return float(gross)


def test_change_liquidates_and_every_number_is_a_query_over_the_outcomes(
    lake: Lake, tmp_path: Path, market: Market
) -> None:
    run = one(lake, scenario(tmp_path, market))
    outcomes, metrics = run.table("outcomes"), run.table("metrics")
    assert outcomes.num_rows
    assert metrics.schema == METRICS
    effects = {effect["metric"]: effect for effect in run.manifest["effects"]}
    assert effects["liquidated_accounts"]["actual"] > 0
    changed = effects["liquidated_accounts"]["effect"] + effects["liquidated_by_change"]["effect"]
    assert changed > 0
    for name in World:
        (count, repaid), = duckdb.sql(
            f"SELECT count(*), coalesce(sum(debt_usd), 0) FROM outcomes WHERE world = '{name.value}' "
            f"AND kind = '{Kind.LIQUIDATION.value}' AND cause IS DISTINCT FROM 'change'"
        ).fetchall()  # fmt: skip
        values = {row["metric"]: row["value"] for row in world(metrics, name) if row["asset"] is None}
        assert values["liquidations"] == count == effects["liquidations"][name.value]
        assert values["debt_repaid_usd"] == pytest.approx(repaid, rel=1e-12)
    assert effects["debt_repaid_usd"]["gross_error"] == pytest.approx(gross_of("debt_repaid_usd", run), rel=1e-12)
    assert effects["debt_repaid_usd"]["gross_error"] == run.manifest["validity"]["model_gross_debt_repaid_usd"]
    assert effects["bad_debt_usd"]["gross_error"] == run.manifest["validity"]["model_gross_bad_debt_usd"]
    assert "lower" in run.report.read_text()
    assert set(run.table("accounts")["run_id"].to_pylist()) == {run.run_id}


def test_run_that_exists_is_returned_not_repeated(lake: Lake, tmp_path: Path, market: Market) -> None:
    path = scenario(tmp_path, market)
    (first,) = backtest(lake, path)
    before = {file: file.stat().st_mtime_ns for file in first.run.path.iterdir()}
    (second,) = backtest(lake, path)
    assert (first.reused, second.reused) == (False, True)
    assert second.run.run_id == first.run.run_id
    assert {file: file.stat().st_mtime_ns for file in first.run.path.iterdir()} == before
    (other,) = backtest(lake, scenario(tmp_path, market, body="seed: 5\n"))
    assert other.run.run_id != first.run.run_id
    assert other.run.manifest["series_id"] != first.run.manifest["series_id"]


def test_unchanged_rules_have_no_effect_at_all(lake: Lake, tmp_path: Path, market: Market) -> None:
    path = tmp_path / "nothing.yaml"
    path.write_text(
        f"name: nothing\nmarket: {MARKET}\nliquidator: {{model: latency, delay: 1h, spread: 1}}\nheartbeat: 1d\n"
    )
    run = one(lake, path)
    for table in (run.table("outcomes"), run.table("accounts"), run.table("metrics")):
        assert world(table, World.ALTERNATIVE) == world(table, World.CONTROL)
    for effect in run.manifest["effects"]:
        assert effect["effect"] in (0.0, None)
        assert (effect["low"], effect["high"]) in ((0.0, 0.0), (None, None))


def test_sweep_gives_what_each_of_its_scenarios_gives_alone(lake: Lake, tmp_path: Path, market: Market) -> None:
    """Sharing the screen and the control world between scenarios changes nothing."""
    first = f"0x{market.assets[0].address.hex()}"
    sweep = (
        f"sweep:\n  seed: [1, 2]\n  change:\n    reserves:\n      '{first}': {{liquidation_threshold: [70%, 60%]}}\n"
    )
    found = backtest(
        lake, scenario(tmp_path, market, body=sweep + "liquidator: {model: latency, delay: 2h, spread: 1}\n")
    )
    assert len({one.run.run_id for one in found}) == 4
    other = Lake.create(tmp_path / "other")
    for made in found:
        alone = tmp_path / "alone.yaml"
        alone.write_text(json.dumps(made.run.manifest["scenario"]))
        again = one(other, alone)
        assert again.run_id == made.run.run_id
        assert again.manifest["tables"] == made.run.manifest["tables"]


def test_range_of_policies_holds_the_runs_own(lake: Lake, tmp_path: Path, market: Market) -> None:
    run = one(lake, scenario(tmp_path, market, body="infeasible: clip\n"))
    effects = {effect["metric"]: effect["alternative"] for effect in run.manifest["effects"]}
    for metric, values in run.manifest["policies"].items():
        assert values.keys() <= {"skip", "clip", "freeze"}
        assert values.get("clip") == effects[metric]
    own = one(lake, scenario(tmp_path, market, body="infeasible: freeze\n"))
    alternative = {effect["metric"]: effect["alternative"] for effect in own.manifest["effects"]}
    assert {m: v.get("freeze") for m, v in run.manifest["policies"].items()} == {
        m: alternative[m] for m in run.manifest["policies"]
    }


def test_report_shows_accounts_whose_fate_changed_with_their_timelines(
    lake: Lake, tmp_path: Path, market: Market
) -> None:
    found = bundle_of(one(lake, scenario(tmp_path, market)))
    assert found.fates
    assert [abs(f.difference_usd) for f in found.fates] == sorted(
        (abs(f.difference_usd) for f in found.fates), reverse=True
    )
    for fate in found.fates:
        assert fate.timeline
        times = [happening.timestamp_s for happening in fate.timeline]
        assert times == sorted(times)
    assert found.health is not None
    assert {len(debt) + 1 for debt in found.health.debt_usd.values()} == {len(found.health.edges)}


def test_run_verifies_and_every_tampering_is_found(
    lake: Lake, tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = one(lake, scenario(tmp_path, market))
    good = verify(lake, run.run_id)
    assert (good.problems, good.comparable, good.repeated) == ((), True, True)

    place = run.path / "outcomes.parquet"
    honest = place.read_bytes()
    table = pq.read_table(place)
    pq.write_table(table.slice(1), place)
    assert any("outcomes.parquet" in problem for problem in verify(lake, run.run_id).problems)
    place.write_bytes(honest)

    manifest = run.path / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"seed": 0', '"seed": 1'))
    assert any("the manifest was changed" in problem for problem in verify(lake, run.run_id).problems)
    manifest.write_text(text)

    with monkeypatch.context() as patch:
        other = replace(market, liquidations=market.liquidations.slice(1))
        patch.setattr(pipelines.verify, "load_market", lambda lake, listing: other)
        assert any("running it again gives another table" in problem for problem in verify(lake, run.run_id).problems)
    with monkeypatch.context() as patch:
        patch.setattr(Lake, "dataset_root", lambda self, market: b"\1" * 32)
        assert any("more was ingested since" in problem for problem in verify(lake, run.run_id).problems)
    manifest.write_text(text.replace('"package": "', '"package": "9.'))
    strange = verify(lake, run.run_id)
    assert (strange.comparable, strange.repeated) == (False, False)


def test_command_prints_what_the_tables_hold(lake: Lake, tmp_path: Path, market: Market) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    command.register(app)
    path = scenario(tmp_path, market)
    result = CliRunner().invoke(app, ["backtest", str(path), "--lake", str(lake.path), "--json"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    run = lake.read_run(said["run_id"])
    assert set(said) >= {"run_id", "metrics", "report"}
    assert Path(said["report"]) == run.report
    for name in World:
        rows = {row["metric"]: row["value"] for row in world(run.table("metrics"), name) if row["asset"] is None}
        assert said["metrics"][name.value] == rows
    text = CliRunner().invoke(app, ["backtest", str(path), "--lake", str(lake.path)])
    assert "exists already, not repeated" in text.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "s.yaml: the file is not text in UTF-8."),
        (None, "cannot be read (No such file or directory). Give the path of a scenario YAML file."),
        (b"name: x\n", "the lake holds no market yet. Fill it with `l2liq ingest SOURCE --market M`."),
        (b"name: x\nmarket: 5\n", "s.yaml:2: market: is no name."),
        (b"name: x\nmarket: nowhere/at-all\n", "market 'nowhere/at-all' is not known."),
    ],
)
def test_files_that_are_no_scenario_are_refused(
    lake: Lake, tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "s.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((InputError, ScenarioError)) as caught:
        backtest(lake, path)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2
    assert lake.runs() == []
