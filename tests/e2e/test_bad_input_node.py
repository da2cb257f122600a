"""Nodes on their bad days as the command line tells them; what the job does with each stands in tests/pipelines."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli import MARKET, l2liq, roots
from tests.pipelines.conftest import Town, town
from tests.pipelines.proxy import Drop, Hang, Raw, Refuse, Request, Status, Temper, honest, proxied

__all__ = ["town"]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cli")]

SLUG = "aave-v3-town"
QUICK = ("--attempts", "2", "--timeout", "1")


def always(act: Callable[[], Exception]) -> Temper:
    def temper(request: Request, ask: Callable[[], Any]) -> Any:
        raise act()

    return temper


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (Drop, "connection failed.*Check the address"),
        (Hang, "--timeout"),
        (lambda: Status(401), "key"),
        (lambda: Status(503), "overloaded"),
        (lambda: Raw(b"<html>"), "JSON-RPC"),
        (lambda: Refuse(-32601, "no such method \x1b[31m[red]"), "refused"),
    ],
    ids=["drops", "times out", "401", "503", "html", "refuses"],
)
def test_a_node_that_never_answers_is_exit_code_3(tmp_path: Path, act: Callable[[], Exception], message: str) -> None:
    with proxied("http://nowhere.invalid", always(act)) as proxy:
        told = l2liq("ingest", proxy.url, "--market", MARKET, *QUICK, lake=tmp_path / "lake").refusal(3)
    assert re.search(message, told), told
    assert "SECRET" not in told
    assert "\x1b" not in told
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (("ftp://127.0.0.1",), "only http and https", 2),
        (("http://",), "no URL", 3),
        (("http://user:SECRET@127.0.0.1:1/SECRET",), "connection failed", 3),
        (("http://127.0.0.1:1", "x.json"), "one RPC address, or files", 2),
        (("http://127.0.0.1:1", "--complete", "0:5"), "are for files", 2),
        (("http://127.0.0.1:1", "--checks", "few"), "--checks few", 2),
    ],
)
def test_an_address_that_cannot_be_is_named(tmp_path: Path, words: tuple[str, ...], message: str, code: int) -> None:
    told = l2liq("ingest", *words, "--market", MARKET, "--attempts", "1", lake=tmp_path / "lake").refusal(code)
    assert re.search(message, told), told
    assert "SECRET" not in told
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("option", [("--timeout", "inf"), ("--timeout", "nan"), ("--rate", "nan"), ("--rate", "0")])
def test_a_number_that_is_none_is_wrong_usage(option: tuple[str, str]) -> None:
    assert option[0] in l2liq("ingest", "http://127.0.0.1:1", "--market", MARKET, *option).usage()


def dying(answers: int) -> Temper:
    """A node that goes away after so many answers."""
    left = itertools.count(answers, -1)

    def temper(request: Request, ask: Callable[[], Any]) -> Any:
        if next(left) <= 0:
            raise Drop
        return ask()

    return temper


def crowded(request: Request, ask: Callable[[], Any]) -> Any:
    """A node that refuses more than 20 results."""
    result = ask()
    if request["method"] == "eth_getLogs" and "fromBlock" in request["params"][0] and len(result) > 20:
        raise Refuse(-32005, "query returned more than 20 results")
    return result


def lying(request: Request, ask: Callable[[], Any]) -> Any:
    """A node that leaves out the last log of every answer."""
    result = ask()
    return result[:-1] if request["method"] == "eth_getLogs" else result


def elsewhere(request: Request, ask: Callable[[], Any]) -> Any:
    """A node of another chain."""
    return "0xa4b1" if request["method"] == "eth_chainId" else ask()


def test_whatever_a_node_does_the_lake_is_whole_or_the_next_run_completes_it(town: Town, tmp_path: Path) -> None:
    def ingest(lake: str, temper: Temper, *options: str) -> Any:
        with proxied(town.node.url, temper) as proxy:
            return l2liq("ingest", proxy.url, "--market", town.yaml, *QUICK, *options, lake=tmp_path / lake)

    assert ingest("good", honest).code == 0
    good = roots(tmp_path / "good", SLUG)
    assert "chain 42161, but the market is on" in ingest("elsewhere", elsewhere).refusal()
    assert not (tmp_path / "elsewhere").exists()
    assert ingest("crowded", crowded).code == 0
    assert roots(tmp_path / "crowded", SLUG) == good
    told = ingest("lied", lying, "--checks", "all").refusal(3)
    assert re.search("leaves logs out|does not give all", told), told
    assert ingest("lied", honest).code == 0
    assert roots(tmp_path / "lied", SLUG) == good
    assert "connection failed" in ingest("dying", dying(150)).refusal(3)
    assert roots(tmp_path / "dying", SLUG).items() <= good.items()
    assert ingest("dying", honest).code == 0
    assert roots(tmp_path / "dying", SLUG) == good
