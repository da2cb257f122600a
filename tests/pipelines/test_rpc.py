"""Ingest from a real node through a proxy that has bad days: the lake holds the chain's logs, or nothing."""

from __future__ import annotations

import itertools
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from l2liq.chains.markets import find_market
from l2liq.errors import GapError, InputError, LakeError, SourceError, SupplyError
from l2liq.events.abi import contract_event
from l2liq.events.filter import Filter
from l2liq.events.log import LOGS
from l2liq.lake import LOG_DATA, OBSERVATION_DATA, SEALED, Lake, Linkage, Span
from l2liq.lake.tables import passing
from pipelines.ingest.estimate import estimate
from pipelines.ingest.node_job import Wish, first_block, ingest_node
from pipelines.ingest.prices import PRICE_CALL
from pipelines.sources.jsonrpc import JsonRpc, Manners
from pipelines.sources.node import Node
from pipelines.sources.rows import table_of
from tests.pipelines.conftest import Town, market_file
from tests.pipelines.proxy import Drop, Hang, Raw, Refuse, Request, Status, Temper, proxied

SCALED_SUPPLY = "0xb1bf962d"
"""Selector of scaledTotalSupply()."""
QUICK = Manners(timeout_s=2.0, attempts=6, pause_s=0.01, longest_pause_s=0.05)
NAME = "aave-v3/town"


def ingest(town: Town, lake: Path, url: str, manners: Manners = QUICK, wish: Wish | None = None) -> Any:
    node = Node(JsonRpc(url, manners), town.listing.chain)
    return ingest_node(lake, town.listing, node, wish or Wish())


@pytest.fixture(scope="session")
def undisturbed(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The lake of a run in which nothing went wrong."""
    path = tmp_path_factory.mktemp("undisturbed") / "lake"
    ingest(town, path, town.node.url, Manners())
    return Lake.open(path)


def truth(town: Town, span: Span, wanted: Filter) -> pa.Table:
    """What the node itself holds, asked block by block without any filter."""
    entries = [log for number in range(span.start, span.stop) for log in town.node.logs(number, number)]
    logs = table_of(entries, str).cast(LOGS)
    return logs.filter(pa.array(passing(logs, wanted)))


def test_the_lake_holds_every_log_that_the_chain_has_for_the_filter_that_discovery_ends_with(
    town: Town, undisturbed: Lake
) -> None:
    coverage = undisturbed.coverage(NAME)
    for segment in coverage.segments:
        held = pa.concat_tables(undisturbed.read_logs(NAME, segment.span))
        assert held.equals(truth(town, segment.span, segment.filter).combine_chunks())
    assert coverage.span == Span(0, town.last_block + 1)
    assert coverage.sealed_until == town.last_block // 100 * 100 or (town.last_block + 1) % 100 == 0
    assert all(one.linkage is Linkage.VERIFIED for one in coverage.segments)
    assert undisturbed.verify(NAME) == []


def limited(most_blocks: int) -> Temper:
    def temper(request: Request, ask: Callable[[], Any]) -> Any:
        if request["method"] == "eth_getLogs" and "fromBlock" in request["params"][0]:
            first, last = (int(request["params"][0][key], 16) for key in ("fromBlock", "toBlock"))
            if last - first + 1 > most_blocks:
                raise Refuse(-32005, f"eth_getLogs is limited to a {most_blocks} block range")
        return ask()

    return temper


def counted(most_results: int, message: str) -> Temper:
    def temper(request: Request, ask: Callable[[], Any]) -> Any:
        result = ask()
        if request["method"] == "eth_getLogs" and "fromBlock" in request["params"][0] and len(result) > most_results:
            raise Refuse(-32602, message)
        return result

    return temper


def now_and_then(every: int, act: Callable[[], Exception]) -> Temper:
    turns = itertools.count(1)

    def temper(request: Request, ask: Callable[[], Any]) -> Any:
        if next(turns) % every == 0:
            raise act()
        return ask()

    return temper


def timeless(request: Request, ask: Callable[[], Any]) -> Any:
    """A node whose logs have no times, in any order, some twice."""
    result = ask()
    if request["method"] == "eth_getLogs":
        result = [{key: value for key, value in log.items() if key != "blockTimestamp"} for log in result]
        random.Random(len(result)).shuffle(result)
        result += result[:3]
    return result


def unfiltered(request: Request, ask: Callable[[], Any]) -> Any:
    """A node that ignores addresses and topics."""
    if request["method"] == "eth_getLogs":
        request["params"][0].pop("address", None)
        request["params"][0].pop("topics", None)
    return ask()


TEMPERS: dict[str, Callable[[], Temper]] = {
    "block range": lambda: limited(7),
    "too many results": lambda: counted(20, "query returned more than 20 results"),
    "response size": lambda: counted(30, "Log response size exceeded. Try with this block range [0x0, 0x1]"),
    "rate limit": lambda: now_and_then(5, lambda: Status(429, {"Retry-After": "0"})),
    "rate limit as error": lambda: now_and_then(
        5, lambda: Refuse(-32005, "daily request count exceeded, request rate limited")
    ),
    "server errors": lambda: now_and_then(4, lambda: Status(503)),
    "dropped connections": lambda: now_and_then(6, Drop),
    "truncated JSON": lambda: now_and_then(5, lambda: Raw(b'{"jsonrpc":"2.0","id":1,"result":[{"addr')),
    "an HTML page": lambda: now_and_then(5, lambda: Raw(b"<html>Bad gateway</html>")),
    "hangs": lambda: now_and_then(40, Hang),
    "logs without times, shuffled, repeated": lambda: timeless,
    "no filter": lambda: unfiltered,
}


@pytest.mark.parametrize("name", TEMPERS)
def test_whatever_a_node_does_on_a_bad_day_the_lake_is_the_same(
    town: Town, undisturbed: Lake, tmp_path: Path, name: str
) -> None:
    with proxied(town.node.url, TEMPERS[name]()) as proxy:
        ingest(town, tmp_path / "lake", proxy.url)
    assert Lake.open(tmp_path / "lake").dataset_root(NAME) == undisturbed.dataset_root(NAME)


def omitting(share: int) -> Temper:
    """Leaves logs out of ranges, but not out of single blocks."""

    def temper(request: Request, ask: Callable[[], Any]) -> Any:
        result = ask()
        if request["method"] == "eth_getLogs" and "fromBlock" in request["params"][0]:
            return [log for number, log in enumerate(result) if number % share]
        return result

    return temper


def stubborn(request: Request, ask: Callable[[], Any]) -> Any:
    """Leaves out the same logs everywhere."""
    result = ask()
    if request["method"] == "eth_getLogs":
        return [log for log in result if int(log["logIndex"], 16) != 3]
    return result


def of_other_blocks(request: Request, ask: Callable[[], Any]) -> Any:
    result = ask()
    if request["method"] == "eth_getLogs" and result:
        return [{**result[0], "blockNumber": hex(10**6)}]
    return result


def garbled(request: Request, ask: Callable[[], Any]) -> Any:
    result = ask()
    if request["method"] == "eth_getLogs" and result:
        return [{**result[0], "topics": ["0x12"]}]
    return result


def other_hashes(request: Request, ask: Callable[[], Any]) -> Any:
    result = ask()
    if request["method"] == "eth_getLogs":
        return [{**log, "blockHash": "0x" + "77" * 32} for log in result]
    return result


@pytest.mark.parametrize(
    ("temper", "complaint"),
    [
        (omitting(9), "leaves logs out|does not give all"),
        (stubborn, "does not give all of its logs"),
        (of_other_blocks, "logs of other blocks"),
        (garbled, "topics cannot be read"),
        (other_hashes, "has two histories|reorganised"),
    ],
    ids=["omits from ranges", "omits everywhere", "other blocks", "garbled", "other hashes"],
)
def test_a_node_that_lies_is_caught_and_nothing_of_the_cell_is_sealed(
    town: Town, tmp_path: Path, temper: Temper, complaint: str
) -> None:
    with proxied(town.node.url, temper) as proxy, pytest.raises(Exception, match=complaint) as caught:
        ingest(town, tmp_path / "lake", proxy.url, wish=Wish(checks=None))
    assert "SECRET" not in str(caught.value)
    for segment in Lake.open(tmp_path / "lake").coverage(NAME).segments:
        held = pa.concat_tables([LOGS.empty_table(), *Lake.open(tmp_path / "lake").read_logs(NAME, segment.span)])
        assert held.equals(truth(town, segment.span, segment.filter).combine_chunks())


def without_blooms(request: Request, ask: Callable[[], Any]) -> Any:
    """A chain that computes no blooms: headers prove no log."""
    result = ask()
    return {**result, "logsBloom": "0x" + "00" * 256} if request["method"] == "eth_getBlockByNumber" else result


def withholding(withheld: pa.Table) -> Temper:
    """Knows nothing of one log, anywhere."""
    place = (withheld.column("block_number")[0].as_py(), withheld.column("log_index")[0].as_py())

    def temper(request: Request, ask: Callable[[], Any]) -> Any:
        result = without_blooms(request, ask)
        if request["method"] == "eth_getLogs":
            return [log for log in result if (int(log["blockNumber"], 16), int(log["logIndex"], 16)) != place]
        return result

    return temper


def silent(act: Callable[[], Exception]) -> Temper:
    """Tokens do not tell their supply."""

    def temper(request: Request, ask: Callable[[], Any]) -> Any:
        if request["method"] == "eth_call" and request["params"][0]["data"] == SCALED_SUPPLY:
            raise act()
        return ask()

    return temper


@pytest.mark.parametrize(("event", "cell"), [("Mint", Span(100, 200)), ("Burn", Span(200, 300))])
def test_a_withheld_change_of_supply_is_found_by_what_the_token_states_and_blocks_its_cell_alone(
    town: Town, undisturbed: Lake, tmp_path: Path, event: str, cell: Span
) -> None:
    logs = pa.concat_tables(undisturbed.read_logs(NAME, cell))
    topic = pa.scalar(contract_event("aave_v3/scaled_token", event).topic0, pa.binary(32))
    withheld = logs.filter(pc.equal(logs.column("topic0"), topic)).slice(0, 1)
    with proxied(town.node.url, withholding(withheld)) as proxy:
        outcome = ingest(town, tmp_path / "lake", proxy.url)
        (refusal,) = outcome.quarantined
        assert isinstance(refusal.error, SupplyError)
        assert f"of 0x{withheld.column('address')[0].as_py().hex()} are not explained by its logs" in refusal.reason
        lake = Lake.open(tmp_path / "lake")
        assert {one.span for one in lake.coverage(NAME).segments} == {
            one.span for one in undisturbed.coverage(NAME).segments
        } - {cell}
        (entry,) = lake.quarantined()
        assert entry.error == "SupplyError"
        released = shutil.copytree(tmp_path / "lake", tmp_path / "released", symlinks=True)
        Lake.open(released).release(entry, who="me", reason="this token is special")
        assert not ingest(town, released, proxy.url).quarantined
        assert cell in {one.span for one in Lake.open(released).coverage(NAME).segments}
        proxy.temper = without_blooms
        assert not ingest(town, tmp_path / "lake", proxy.url).quarantined
    assert lake.dataset_root(NAME) == undisturbed.dataset_root(NAME)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: Refuse(-32000, "missing trie node 12ab"), "not compared in 2 cells: http://127.0.0.1"),
        (lambda: Refuse(-32000, "BlockOutOfRangeError: block height is 985 but requested was 99"), "in 2 cells"),
        (lambda: Refuse(-32099, "words that nobody foresaw"), "not compared in 2 cells"),
        (lambda: Refuse(3, "execution reverted"), "not compared of tokens that do not state it: 0x"),
    ],
    ids=["no old state", "loaded state", "other words", "no such function"],
)
def test_what_tokens_do_not_state_is_not_compared_and_said_once(
    town: Town, undisturbed: Lake, tmp_path: Path, act: Callable[[], Exception], said: str
) -> None:
    with proxied(town.node.url, silent(act)) as proxy:
        outcome = ingest(town, tmp_path / "lake", proxy.url, wish=Wish(to_block=200))
    assert [said in note for note in outcome.notes] == [True]
    assert Lake.open(tmp_path / "lake").dataset_root(NAME) == undisturbed.dataset_root(NAME, Span(0, 200))


def always(act: Callable[[], Exception]) -> Temper:
    def temper(request: Request, ask: Callable[[], Any]) -> Any:
        raise act()

    return temper


@pytest.mark.parametrize(
    ("act", "complaint"),
    [
        (lambda: Status(401), "wants a key"),
        (lambda: Status(404), "address"),
        (lambda: Status(500), "overloaded"),
        (lambda: Drop(), "connection failed"),
        (lambda: Hang(), "--timeout"),
        (lambda: Raw(b"<html></html>"), "JSON-RPC"),
        (lambda: Raw(b"[]"), "JSON-RPC"),
        (lambda: Raw(b'"hello"'), "JSON-RPC"),
        (lambda: Refuse(-32601, "the method eth_chainId does not exist"), "refused"),
    ],
    ids=["401", "404", "500", "drop", "hang", "html", "list", "text", "no method"],
)
def test_a_node_that_never_answers_ends_in_one_sentence_without_the_key(
    town: Town, tmp_path: Path, act: Callable[[], Exception], complaint: str
) -> None:
    with proxied(town.node.url, always(act)) as proxy, pytest.raises(SourceError, match=complaint) as caught:
        ingest(town, tmp_path / "lake", proxy.url)
    text = str(caught.value)
    assert "127.0.0.1" in text
    assert "SECRET" not in text
    assert "\n" not in text


def test_no_node_at_all_is_said(town: Town, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="connection failed"):
        ingest(town, tmp_path / "lake", "http://127.0.0.1:9/KEY")


def test_a_node_of_another_chain_is_refused_and_no_lake_is_made(town: Town, tmp_path: Path) -> None:
    def elsewhere(request: Request, ask: Callable[[], Any]) -> Any:
        return "0xa4b1" if request["method"] == "eth_chainId" else ask()

    with (
        proxied(town.node.url, elsewhere) as proxy,
        pytest.raises(InputError, match="chain 42161, but the market is on"),
    ):
        ingest(town, tmp_path / "lake", proxy.url)
    assert not (tmp_path / "lake").exists()


def test_a_node_that_dies_in_the_middle_loses_nothing_and_the_next_run_goes_on(
    town: Town, undisturbed: Lake, tmp_path: Path
) -> None:
    left = itertools.count(150, -1)

    def dying(request: Request, ask: Callable[[], Any]) -> Any:
        if next(left) < 0:
            raise Drop
        return ask()

    with proxied(town.node.url, dying) as proxy:
        with pytest.raises(SourceError):
            ingest(town, tmp_path / "lake", proxy.url)
        sealed = Lake.open(tmp_path / "lake").coverage(NAME).sealed_until
        assert sealed
        proxy.temper = lambda request, ask: ask()
        outcome = ingest(town, tmp_path / "lake", proxy.url)
    assert outcome.known_cells == sealed // 100
    assert Lake.open(tmp_path / "lake").dataset_root(NAME) == undisturbed.dataset_root(NAME)


def test_day_by_day_gives_the_same_lake_as_at_once(town: Town, undisturbed: Lake, tmp_path: Path) -> None:
    for stop in [*range(60, town.last_block, 150), None]:
        ingest(town, tmp_path / "lake", town.node.url, wish=Wish(to_block=stop))
    assert Lake.open(tmp_path / "lake").dataset_root(NAME) == undisturbed.dataset_root(NAME)


def test_a_second_run_fetches_no_logs_again(town: Town, tmp_path: Path) -> None:
    with proxied(town.node.url) as proxy:
        ingest(town, tmp_path / "lake", proxy.url)
        first = proxy.requests["eth_getLogs"]
        stop = Lake.open(tmp_path / "lake").coverage(NAME).sealed_until
        root = Lake.open(tmp_path / "lake").dataset_root(NAME, Span(0, stop))
        ingest(town, tmp_path / "lake", proxy.url, wish=Wish(to_block=stop))
        assert proxy.requests["eth_getLogs"] == first
    assert Lake.open(tmp_path / "lake").dataset_root(NAME, Span(0, stop)) == root


def test_requests_under_way_are_bounded(town: Town, tmp_path: Path) -> None:
    def slow(request: Request, ask: Callable[[], Any]) -> Any:
        time.sleep(0.01)
        return ask()

    with proxied(town.node.url, slow) as proxy:
        ingest(town, tmp_path / "lake", proxy.url, Manners(concurrency=2), Wish(to_block=200))
        assert proxy.most_at_once <= 2


def test_two_ingests_at_once_the_second_is_told_who_writes(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "lake"
    with Lake.create(path).writer(NAME, 31337), pytest.raises(LakeError, match="already being done by process"):
        ingest(town, path, town.node.url)


def test_a_beginning_in_the_middle_is_refused_because_the_market_needs_its_history(town: Town, tmp_path: Path) -> None:
    with pytest.raises(GapError, match=r"blocks 0–199 \(2 cells\)"):
        ingest(town, tmp_path / "lake", town.node.url, wish=Wish(from_block=250))


def test_blocks_that_are_not_final_stay_in_the_tail(town: Town, tmp_path: Path) -> None:
    provider = "0x" + town.listing.deployment.addresses["addresses_provider"].hex()
    listing = find_market(str(market_file(tmp_path / "m.yaml", provider, finality="120")))
    ingest_node(tmp_path / "lake", listing, Node(JsonRpc(town.node.url, QUICK), listing.chain), Wish())
    coverage = Lake.open(tmp_path / "lake").coverage(NAME)
    assert coverage.sealed_until == (town.last_block - 120 + 1) // 100 * 100
    assert coverage.span == Span(0, town.last_block + 1)


def test_the_market_s_beginning_is_found_in_the_history_of_its_contracts(town: Town, tmp_path: Path) -> None:
    node = Node(JsonRpc(town.node.url, QUICK), town.listing.chain)
    found = first_block(town.listing.deployment, node, town.last_block)
    provider = town.listing.deployment.addresses["addresses_provider"]
    assert node.has_code(provider, found)
    assert not node.has_code(provider, found - 1)


def test_a_dry_run_estimates_and_writes_nothing(town: Town, tmp_path: Path) -> None:
    found = estimate(town.listing, Node(JsonRpc(town.node.url, QUICK), town.listing.chain), Wish())
    assert (found.first_block, found.last_block) == (0, town.last_block)
    assert found.cells == -(-(town.last_block + 1) // 100)
    assert min(found.calls, found.logs, found.size_bytes) > 0


def test_no_secret_of_the_address_reaches_the_lake(town: Town, tmp_path: Path) -> None:
    with proxied(town.node.url) as proxy:
        ingest(town, tmp_path / "lake", proxy.url, wish=Wish(to_block=200))
    for path in (tmp_path / "lake").rglob("*"):
        if path.is_file():
            assert b"SECRET" not in path.read_bytes(), path


def test_coverage_names_what_was_looked_at(undisturbed: Lake, town: Town) -> None:
    coverage = undisturbed.coverage(NAME)
    stop = coverage.sealed_until
    provider = town.listing.deployment.addresses["addresses_provider"]
    assert coverage.gaps(Span(0, stop), Filter({provider: frozenset({b"\1" * 32})}), SEALED)
    covered = coverage.covered(Span(0, stop), SEALED)
    assert provider in covered.topics
    assert {one.dataset for one in coverage.segments} == {LOG_DATA}


def test_sampled_prices_are_the_oracles_own(town: Town, tmp_path: Path) -> None:
    wish = Wish(sample_prices=50)
    ingest(town, tmp_path / "lake", town.node.url, wish=wish)
    lake = Lake.open(tmp_path / "lake")
    rows = [row for row in lake.read(OBSERVATION_DATA, NAME).to_pylist() if row["call"] == PRICE_CALL]
    assert {row["block_number"] for row in rows} >= set(range(100, town.last_block, 50))
    selector = bytes.fromhex("b3596f07")
    for row in rows:
        oracle = "0x" + row["target"].hex()
        assert town.node.call(oracle, selector + row["arguments"], block=row["block_number"]) == row["answer"]
    root = lake.dataset_root(NAME)
    ingest(town, tmp_path / "lake", town.node.url, wish=wish)
    assert lake.dataset_root(NAME) == root
