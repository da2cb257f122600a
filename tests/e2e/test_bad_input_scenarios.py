"""Scenario and market files with every kind of mistake: file, line and remedy, exit code 2, no run made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.cli import MARKET, SCENARIO, l2liq, quick

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli")]

BASE = f"name: x\nmarket: {MARKET}\n"
WETH = BASE + "change:\n  reserves:\n    WETH: {%s}\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
)

BAD_SCENARIOS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "a scenario is a list of `key: value` lines"),
    "bytes": (bytes(range(256)), "not text in UTF-8"),
    "latin": (b"name: \xff\xfe\n", "not text in UTF-8"),
    "list": ("- a\n", "a scenario is a list of `key: value` lines"),
    "bomb": (BOMB + BASE, r"bomb\.yaml:1: anchors .* are not read"),
    "itself": (BASE + "change: &a {reserves: *a}\n", r"itself\.yaml:3: anchors .* are not read"),
    "deep": (BASE + "change: " + "{a: " * 3_000 + "1" + "}" * 3_000, r"deep\.yaml:3: .*nests deeper"),
    "open": (BASE + "change: " + "[" * 50_000, r"open\.yaml:3: .*nests deeper"),
    "code": (BASE + 'change: !!python/object/apply:os.system ["id"]\n', r"code\.yaml:3: the tag .* is not read"),
    "twice": (BASE + "name: y\n", r"twice\.yaml:3: name stands here a second time, first on line 1"),
    "two": (BASE + "---\n" + BASE, r"two\.yaml:3: a second document begins here"),
    "tab": (BASE + "change:\n\t- x\n", r"tab\.yaml:4: this is not YAML"),
    "unknown": (BASE + "chaneg: {}\n", r"unknown\.yaml:3: chaneg: unknown key\. Did you mean change\?"),
    "long": (BASE + "x" * 100_000 + ": 1\n", r"long\.yaml:3: "),
    "coloured": (BASE + '"\\e[31mred": 1\n', r"coloured\.yaml:3: .*unknown key"),
    "unitless": (WETH % "liquidation_threshold: 85", r"unitless\.yaml:5: .*no unit.* 85% or 8500bps"),
    "impossible": (WETH % "liquidation_threshold: 185%", r"impossible\.yaml:5: "),
    "loan above threshold": (WETH % "ltv: 90%", r"threshold\.yaml:5: "),
    "endless number": (WETH % f"ltv: {'9' * 5_000}%", r"number\.yaml:5: "),
    "no number": (WETH % "ltv: .nan", r"number\.yaml:5: "),
    "no reserve": (BASE + "change:\n  reserves:\n    WETHH: {ltv: 50%}\n", r"reserve\.yaml:5: .*WETH"),
    "no e-mode": (BASE + "change:\n  emodes:\n    9: {ltv: 50%}\n", r"e-mode\.yaml:\d: "),
    "before": (quick(more="window: {from: 2020-01-01, to: 2020-02-01}"), r"yaml:8: from: .* is outside .* Fetch more"),
    "after": (quick(more="window: {from: 1000000, to: 2000000}"), r"after\.yaml:\d: "),
    "backwards": (quick(more="window: {from: 2026-03-09, to: 2026-03-08}"), r"backwards\.yaml:\d: "),
    "negative": (BASE + "window: {from: -5, to: 10}\n", r"negative\.yaml:3: "),
    "huge": (BASE + f"window: {{from: 1, to: 1{'0' * 400}}}\n", r"huge\.yaml:3: "),
    "no day": (BASE + "effective_from: 2026-99-99\n", r"day\.yaml:3: effective_from: "),
    "last day": (quick().replace("2026-03-09", "9999-12-31"), r"day\.yaml:\d: effective_from: "),
    "seed": (BASE + "seed: -1\n", r"seed\.yaml:3: seed: "),
    "resamples": (BASE + "uncertainty: {resamples: 100000000000}\n", r"resamples\.yaml:3: "),
    "patience": (BASE + "liquidator: {model: latency, delay: 99999999999999999999d}\n", r"patience\.yaml:3: "),
    "endless sweep": (quick(more="sweep: {seed: {from: 1, to: 1000000000, step: 1}}"), r"sweep\.yaml:\d: "),
    "still sweep": (WETH % "ltv: 70%" + "sweep: {change: {reserves: {WETH: {ltv: {from: 70%, to: 80%, step: 0pp}}}}}\n",
                    r"sweep\.yaml:6: "),
    "nulls": (f"name:\nmarket: {MARKET}\nchange:\nseed:\n", r"nulls\.yaml:\d: "),
    "no market": ("name: x\nmarket: ../../../etc/passwd\n", "passwd"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_SCENARIOS)
def test_a_scenario_that_cannot_be_is_named_by_its_line_and_makes_no_run(
    sampled: Path, tmp_path: Path, name: str
) -> None:
    content, message = BAD_SCENARIOS[name]
    runs = set((sampled / "runs").iterdir())
    file = tmp_path / f"{name}.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = l2liq("backtest", file, lake=sampled)
    assert re.search(message, said.refusal()), said
    assert len(said.err) < 2_000
    assert "\x1b" not in said.err
    assert set((sampled / "runs").iterdir()) == runs


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("backtest", "/nowhere.yaml"), "/nowhere.yaml: cannot be read .* Give the path of a scenario"),
        (("backtest", "/"), "/: cannot be read"),
        (("backtest", SCENARIO, "--market", "aave-v3/base"), "has no logs of it. Fetch them with `l2liq ingest"),
        (("impact", SCENARIO, "--price", "WETH=-200%"), "WETH"),
        (("impact", SCENARIO, "--price", "NOPE=-10%"), "NOPE"),
        (("impact", SCENARIO, "--price", "WETH"), "WETH"),
        (("impact", SCENARIO, "--price", "WETH=-10"), "10%|unit|per cent"),
        (("impact", SCENARIO, "--block", "-5"), "-5"),
        (("impact", SCENARIO, "--block", "9" * 30), "9{30}|99,"),
        (("impact", SCENARIO, "--block", "999999999"), "999,?999,?999"),
        (("check", "--market", "aave-v3/base"), "has no logs of it. Fetch them with `l2liq ingest"),
        (("check", "--market", "mine.yaml"), "mine.yaml: no such file"),
    ],
)
def test_a_command_on_what_is_not_there_is_one_sentence(
    sampled: Path, command: tuple[object, ...], message: str
) -> None:
    told = l2liq(*command, lake=sampled).refusal()
    assert re.search(message, told), told


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("scenario", "diff", SCENARIO, "/nowhere.yaml"), "/nowhere.yaml: cannot be read"),
        (("scenario", "show", "/"), "/: cannot be read"),
        (("scenario", "schema", "--protocol", "bank-v1"), "bank-v1"),
        (("market", "show", "aave-v3/moon"), "is not known. Known are aave-v3/arbitrum"),
    ],
)
def test_commands_without_a_lake_refuse_in_one_sentence(command: tuple[object, ...], message: str) -> None:
    told = l2liq(*command).refusal()
    assert re.search(message, told), told


MARKET_TEXT = MARKET.read_text(encoding="utf-8")

BAD_MARKETS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "no market in it"),
    "bytes": (bytes(range(256)), "not YAML"),
    "list": ("- a\n", "no market in it"),
    "deep": ("a: " + "[" * 20_000, "deep nesting"),
    "tag": ('protocol: !!python/object/apply:os.system ["id"]\n', "not YAML"),
    "unknown": (MARKET_TEXT + "more: 1\n", "more is not a key of a market file"),
    "missing": (MARKET_TEXT.replace("chain_id: 31337", ""), "chain_id is missing"),
    "address": (MARKET_TEXT.replace("0x17180be0", "0x17180"), "is no address"),
    "chain": (MARKET_TEXT.replace("31337", "0"), "chain_id"),
    "version": (MARKET_TEXT.replace('"3.6.0"', '"9.9"'), r"version|9\.9"),
    "protocol": (MARKET_TEXT.replace("protocol: aave-v3", "protocol: bank-v1"), "bank-v1"),
    "path": (MARKET_TEXT.replace("aave-v3/sample", "../../etc"), "cannot name a market"),
    "sql": (MARKET_TEXT.replace("aave-v3/sample", "x'); DROP TABLE logs; --"), "cannot name a market"),
    "decimals": (MARKET_TEXT.replace("decimals: 18", "decimals: -18"), "decimals"),
    "supplement": (MARKET_TEXT.replace("tokens:", "tokkens:"), "tokkens"),
    "bomb": (BOMB + MARKET_TEXT, "aliases and deep nesting"),
    "bomb below": (MARKET_TEXT + "".join(f"  {line}\n" for line in BOMB.splitlines()), "aliases and deep nesting"),
}


@pytest.mark.parametrize("name", BAD_MARKETS)
def test_a_market_file_that_cannot_be_is_named(sampled: Path, tmp_path: Path, name: str) -> None:
    content, message = BAD_MARKETS[name]
    file = tmp_path / f"{name}.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = l2liq("check", "--market", file, lake=sampled)
    assert re.search(message, said.refusal()), said
    assert len(said.err) < 2_000
