"""What a reader has to doubt is said: data that contradicts itself, edited runs, effects that are not certain."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from l2liq.lake import Lake
from tests.e2e.cli import MARKET, SAMPLE, l2liq, quick

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli")]


def manifest_of(lake: Path) -> dict[str, Any]:
    return dict(Lake.open(lake).read_run().manifest)


def test_a_report_on_data_that_contradicts_itself_says_so_everywhere(lacking: Path, tmp_path: Path) -> None:
    checked = json.loads(l2liq("check", "--market", MARKET, "--json", lake=lacking).out)
    subjects = [checked[name] for name in ("balances", "indices", "treasury")]
    expected = {
        "compared": sum(one["compared"] for one in subjects),
        "equal": sum(one["equal"] for one in subjects),
        **checked["liquidations"],
    }
    assert expected["equal"] < expected["compared"]
    (tmp_path / "quick.yaml").write_text(quick())
    said = l2liq("backtest", tmp_path / "quick.yaml", lake=lacking)
    assert said.code == 0
    told = f"The data fails the null test: {expected['compared'] - expected['equal']:,} of {expected['compared']:,}"
    assert told in said.out.replace("\n", " ")
    assert manifest_of(lacking)["null_test"] == expected
    assert manifest_of(lacking)["notes"][0].startswith(told)
    assert f'<p class="caution">{told}' in Lake.open(lacking).read_run().report.read_text(encoding="utf-8")
    assert f"> {told}" in l2liq("report", "--format", "md", lake=lacking).out
    assert "its data fails the null test" in l2liq("runs", lake=lacking, env={"COLUMNS": "300"}).out
    assert "its data fails the null test" in Path(l2liq("report", "--index", lake=lacking).out.strip()).read_text()
    impact = l2liq("impact", tmp_path / "quick.yaml", lake=lacking)
    assert told in impact.err.replace("\n", " ")


def test_a_report_on_sound_data_raises_no_alarm(backtested: Path) -> None:
    tested = manifest_of(backtested)["null_test"]
    assert tested["compared"] == tested["equal"] > 1_000
    assert tested["recorded"] == tested["reproduced"] > 100
    assert "null test" not in Lake.open(backtested).read_run().report.read_text().partition("<section")[0]


EDITS: dict[str, Callable[[dict[str, Any]], None]] = {
    "title": lambda manifest: manifest.update(title="better"),
    "changes": lambda manifest: manifest["changes"].append("free money"),
    "effects": lambda manifest: manifest["effects"][0].update(effect=0.0),
    "validity": lambda manifest: manifest["validity"].update(skipped_value_share=0.0),
    "null_test": lambda manifest: manifest["null_test"].update(equal=0),
    "assumptions": lambda manifest: manifest["assumptions"].clear(),
}


def test_verify_finds_everything_that_was_edited_in_a_manifest(backtested: Path, tmp_path: Path) -> None:
    lake = shutil.copytree(backtested, tmp_path / "lake", symlinks=True)
    place = Lake.open(lake).read_run().path / "manifest.json"
    manifest = json.loads(place.read_text())
    for edit in EDITS.values():
        edit(manifest)
    place.write_text(json.dumps(manifest))
    found = l2liq("verify", "--json", "--market", MARKET, lake=lake)
    assert found.code == 1
    (told,) = (one for one in json.loads(found.out)["problems"] if one.startswith("manifest.json: "))
    assert set(told.removeprefix("manifest.json: ").partition(" are not what")[0].split(", ")) == set(EDITS)


def test_verify_finds_an_edited_page_and_the_page_can_be_made_anew(backtested: Path, tmp_path: Path) -> None:
    lake = shutil.copytree(backtested, tmp_path / "lake", symlinks=True)
    page = Lake.open(lake).read_run().report
    honest = page.read_bytes()
    page.write_bytes(honest.replace(b"Liquidated accounts", b"Rescued accounts"))
    found = l2liq("verify", "--json", "--market", MARKET, lake=lake)
    assert (found.code, len(json.loads(found.out)["problems"])) == (1, 1)
    assert "report.html is not what this l2liq renders" in found.out
    page.unlink()
    assert l2liq("report", lake=lake).code == 0
    assert page.read_bytes() == honest
    assert l2liq("verify", "--market", MARKET, lake=lake).code == 0


def test_a_ramp_that_does_not_end_in_the_window_says_how_far_it_comes(sampled: Path, tmp_path: Path) -> None:
    lake = shutil.copytree(sampled, tmp_path / "lake", symlinks=True)
    text = quick("reserves: {WBTC: {liquidation_threshold: {shift: -5pp}}}", "ramp: {steps: 5, every: 1d}\n")
    (tmp_path / "ramp.yaml").write_text(text.replace("2026-03-09", "2026-03-14"))
    assert l2liq("backtest", tmp_path / "ramp.yaml", lake=lake).code == 0
    (change,) = manifest_of(lake)["changes"]
    told = "78% → 75% (-5pp, only 3 of 5 steps fall into the window; the last one would reach 73%)"
    assert change == f"WBTC liquidation threshold: {told}"
    assert f"With WBTC liquidation threshold {told}" in Lake.open(lake).read_run().report.read_text()


def test_accounts_that_are_left_out_are_not_said_to_be_struck(sampled: Path, tmp_path: Path) -> None:
    lake = shutil.copytree(sampled, tmp_path / "lake", symlinks=True)
    scenario = SAMPLE / "scenarios" / "weth-lt-without-first-wave.yaml"
    assert l2liq("backtest", scenario, "--market", MARKET, lake=lake).code == 0
    count = len(manifest_of(lake)["excluded"])
    assert count
    text = l2liq("report", "--format", "md", lake=lake).out
    assert f"{count} account{'' if count == 1 else 's'} that the change itself would have put below health 1" in text
    assert "left out of both worlds" in text
    assert "of the accounts below health 1" not in text


def test_what_is_so_already_is_no_change(sampled: Path, tmp_path: Path) -> None:
    lake = shutil.copytree(sampled, tmp_path / "lake", symlinks=True)
    (tmp_path / "same.yaml").write_text(quick("close_factor: 50%"))
    assert l2liq("backtest", tmp_path / "same.yaml", lake=lake).code == 0
    manifest = manifest_of(lake)
    assert manifest["changes"] == []
    assert "close factor is 50% already: this part of the scenario changes nothing." in manifest["notes"]
    assert "With unchanged parameters" in l2liq("report", "--format", "md", lake=lake).out


def test_effects_that_are_not_certain_are_marked_wherever_they_stand(sampled: Path, tmp_path: Path) -> None:
    lake = shutil.copytree(sampled, tmp_path / "lake", symlinks=True)
    said = l2liq("backtest", SAMPLE / "scenarios" / "eth-collateral-tighter.yaml", "--market", MARKET, lake=lake)
    assert "* within model error." in said.out
    assert "° interval includes zero." in said.out
    effects = {effect["metric"]: effect for effect in manifest_of(lake)["effects"]}
    assert effects["liquidated_accounts"]["within_error"]
    assert effects["bad_debt_usd"]["low"] < 0 <= effects["bad_debt_usd"]["high"]
    wide = {"COLUMNS": "300"}
    runs = l2liq("runs", lake=lake, env=wide).out
    assert "+3*" in runs
    assert "°" in runs
    (row,) = json.loads(l2liq("runs", "--json", lake=lake).out)
    assert row["readings"] == {"liquidated_accounts": "within model error", "bad_debt_usd": "interval includes zero"}
    index = Path(l2liq("report", "--index", lake=lake).out.strip()).read_text(encoding="utf-8")
    assert "Within model error: the effect on liquidated accounts" in index
    text = l2liq("report", "--format", "md", lake=lake).out
    assert "95 % interval of the difference" in text
    assert "accounts that left history" in text


def test_a_scenario_about_the_fee_shows_the_fee(sampled: Path, tmp_path: Path) -> None:
    lake = shutil.copytree(sampled, tmp_path / "lake", symlinks=True)
    (tmp_path / "fee.yaml").write_text(quick("reserves: {WETH: {liquidation_protocol_fee: 20%}}"))
    said = l2liq("backtest", tmp_path / "fee.yaml", lake=lake)
    assert "Protocol's liquidation fees" in said.out
    assert "−$0.00" not in said.out
    assert "protocol's liquidation fees would have been" in l2liq("report", "--format", "md", lake=lake).out
