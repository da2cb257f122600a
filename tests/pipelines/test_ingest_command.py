"""The command itself: exit codes, one sentence per mistake, kill -9 and reorganisations."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from l2liq.chains.markets import find_market
from l2liq.lake import Lake
from pipelines.cli.main import main
from pipelines.ingest.node_job import Wish, ingest_node
from pipelines.sources.jsonrpc import JsonRpc, Manners
from pipelines.sources.node import Node
from tests.evm.anvil import running_node
from tests.evm.deploy import deploy
from tests.evm.market import Version
from tests.pipelines.conftest import Town, market_file
from tests.pipelines.proxy import Drop, Request, Status, proxied

NAME = "aave-v3/town"
ROOT = Path(__file__).parents[2]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "pipelines.cli.main", *map(str, arguments)]


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """The command in this process, its entry point and all: starting Python anew each time would cost seconds."""

    def run_here(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["l2liq", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    monkeypatch.delenv("L2LIQ_LAKE", raising=False)
    return run_here


Run = Callable[..., Done]


def test_an_ingest_ends_with_what_it_did_and_status_tells_what_is_there(run: Run, town: Town, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    with proxied(town.node.url) as proxy:
        done = run("ingest", proxy.url, "--market", town.yaml, "--lake", lake)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Sealed ")
        again = run("ingest", proxy.url, "--market", town.yaml, "--lake", lake, "--json")
        assert "SECRET" not in done.stdout + again.stdout + again.stderr
    outcome = json.loads(again.stdout)
    assert (outcome["sealed_cells"], outcome["quarantined"], outcome["missing"]) == (0, [], [])
    status = run("status", "--lake", lake, "--json")
    [market] = json.loads(status.stdout)["markets"]
    assert market["last_block"] + 1 == Lake.open(lake).coverage(NAME).sealed_until
    assert run("status", "--lake", lake).stdout.count(f"{market['logs']:,} logs") == 1


def test_a_dry_run_tells_calls_time_and_size(run: Run, town: Town, tmp_path: Path) -> None:
    done = run("ingest", town.node.url, "--market", town.yaml, "--lake", tmp_path / "lake", "--dry-run", "--json")
    assert {"calls", "seconds", "size_bytes", "logs"} <= set(json.loads(done.stdout))
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["nothing.json", "--market", "aave-v3/base"], 2, "nothing.json: no such file"),
        (["nothing.json", "--market", "aave-v3/moon"], 2, "market 'aave-v3/moon' is not known"),
        (["x.json", "--market", "aave-v3/base", "--complete", "9:3"], 2, "--complete 9:3: write FROM:TO"),
        (["x.json", "--market", "aave-v3/base", "--format", "xml"], 2, "--format xml: not a format"),
        (["x.json", "--market", "aave-v3/base", "--dry-run"], 2, "are for nodes"),
        (["http://127.0.0.1:9/SECRET", "--market", "aave-v3/base", "--attempts", "1"], 3, "connection failed"),
        (["http://127.0.0.1:9", "x.json", "--market", "aave-v3/base"], 2, "one RPC address"),
        (["ftp://127.0.0.1/SECRET", "--market", "aave-v3/base"], 2, "only http and https"),
    ],
)
def test_a_mistake_ends_in_one_sentence_and_the_right_exit_code(
    run: Run, tmp_path: Path, arguments: list[str], code: int, complaint: str
) -> None:
    done = run("ingest", *arguments, "--lake", tmp_path / "lake")
    assert done.returncode == code
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert "SECRET" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_chain_is_bad_input_and_a_dying_node_a_failed_source(run: Run, town: Town, tmp_path: Path) -> None:
    done = run("ingest", town.node.url, "--market", "aave-v3/base", "--lake", tmp_path / "lake")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "chain 31337, but the market is on base" in done.stderr
    with proxied(town.node.url, lambda request, ask: (_ for _ in ()).throw(Status(502))) as proxy:
        done = run("ingest", proxy.url, "--market", town.yaml, "--lake", tmp_path / "lake", "--attempts", "2")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)


def test_a_lake_that_cannot_be_written_is_said(run: Run, town: Town, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = run("ingest", town.node.url, "--market", town.yaml, "--lake", tmp_path / "file")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert str(tmp_path / "file") in done.stderr


def test_market_list_and_show_speak_json_and_a_market_file(run: Run, tmp_path: Path) -> None:
    names = [one["name"] for one in json.loads(run("market", "list", "--json").stdout)]
    assert "aave-v3/arbitrum" in names
    shown = tmp_path / "shown.yaml"
    shown.write_text(run("market", "show", "aave-v3/scroll").stdout)
    assert find_market(str(shown)).deployment == find_market("aave-v3/scroll").deployment


def killed_after(requests: int, node_url: str, arguments: Callable[[str], list[str]]) -> int:
    """Start a command on a proxy, kill -9 it at its n-th request, and return how it ended."""
    seen, started = itertools.count(1), threading.Event()
    victim: list[subprocess.Popen[bytes]] = []

    def deadly(request: Request, ask: Callable[[], Any]) -> Any:
        if next(seen) >= requests:
            started.wait()
            victim[0].send_signal(signal.SIGKILL)
            raise Drop
        return ask()

    with proxied(node_url, deadly) as proxy:
        quiet = subprocess.DEVNULL
        victim.append(subprocess.Popen(arguments(proxy.url), cwd=ROOT, stdout=quiet, stderr=quiet))
        started.set()
        return victim[0].wait(timeout=300)


@pytest.mark.slow
def test_kill_9_at_any_moment_and_the_next_run_ends_in_the_same_lake(town: Town, tmp_path: Path) -> None:
    node = Node(JsonRpc(town.node.url, Manners()), town.listing.chain)
    ingest_node(tmp_path / "calm", town.listing, node, Wish())
    lake = tmp_path / "lake"
    for requests in (11, 40, 70):
        ended = killed_after(
            requests, town.node.url, lambda url: command("ingest", url, "--market", town.yaml, "--lake", lake)
        )
        assert ended == -signal.SIGKILL
    ingest_node(lake, town.listing, node, Wish())
    assert Lake.open(lake).dataset_root(NAME) == Lake.open(tmp_path / "calm").dataset_root(NAME)
    assert not list(lake.rglob("*.tmp-*"))


def test_what_a_reorganisation_abandons_goes_to_quarantine_and_the_new_history_is_sealed(tmp_path: Path) -> None:
    with running_node() as node:
        market = deploy(node, Version.V302)
        yaml = market_file(tmp_path / "m.yaml", market.provider)
        yaml.write_text(yaml.read_text().replace("cell_blocks: 100", "cell_blocks: 20"))
        listing = find_market(str(yaml))

        def ingest(lake: str) -> Any:
            return ingest_node(tmp_path / lake, listing, Node(JsonRpc(node.url, Manners()), listing.chain), Wish())

        fork = node.block_number
        snapshot = node.rpc.call("evm_snapshot")
        now = node.now_s
        for step in range(1, 61):
            node.mine(now + step)
        assert ingest("lake").unsealed == []
        node.rpc.call("evm_revert", snapshot)
        for step in range(1, 81):
            node.mine(now + 2 * step)
        outcome = ingest("lake")
        lake = Lake.open(tmp_path / "lake")
        assert outcome.unsealed
        assert outcome.known_cells == fork // 20
        assert any("reorganised" in one.reason for one in lake.quarantined())
        ingest("fresh")
        assert lake.dataset_root(NAME) == Lake.open(tmp_path / "fresh").dataset_root(NAME)


def test_a_node_that_lags_behind_the_lake_is_no_reorganisation(run: Run, town: Town, tmp_path: Path) -> None:
    def lagging(request: Request, ask: Callable[[], Any]) -> Any:
        return hex(150) if request["method"] == "eth_blockNumber" else ask()

    node = Node(JsonRpc(town.node.url, Manners()), town.listing.chain)
    ingest_node(tmp_path / "lake", town.listing, node, Wish())
    root = Lake.open(tmp_path / "lake").dataset_root(NAME)
    with proxied(town.node.url, lagging) as proxy:
        done = run("ingest", proxy.url, "--market", town.yaml, "--lake", tmp_path / "lake")
    assert done.returncode == 3
    assert "Wait until the node has caught up" in done.stderr
    assert Lake.open(tmp_path / "lake").dataset_root(NAME) == root
