"""Structure blocks sealing: logs that contradict each other by what they say; and what a release does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from l2liq.chains.markets import Listing
from l2liq.errors import InputError, InterestIndexError, SupplyError
from l2liq.events.abi import contract_event
from l2liq.lake import Lake
from l2liq.protocols import protocol
from pipelines.ingest.outcome import Outcome
from tests.e2e.cli import LOGS, SLUG, STOP, l2liq
from tests.quality.conftest import ingest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("quality")]
Changed = Callable[[Callable[[pa.Table], pa.Table]], Path]
CELL = 500
"""Blocks of a cell of the sample."""


def rows_of(logs: pa.Table, contract: str, event: str) -> np.ndarray:
    topic = pa.scalar(contract_event(contract, event).topic0, pa.binary(32))
    return np.flatnonzero(pc.equal(logs.column("topic0"), topic).to_numpy())


def with_data(logs: pa.Table, row: int, data: bytes) -> pa.Table:
    column = logs.column("data").to_pylist()
    column[row] = data
    at = logs.schema.get_field_index("data")
    return logs.set_column(at, logs.schema.field(at), pa.array(column, logs.schema.field(at).type))


def lowered(word: int, by: int, contract: str, event: str) -> Callable[[pa.Table], pa.Table]:
    """The sample with a number of one late event a little lower than it was."""

    def change(logs: pa.Table) -> pa.Table:
        row = int(rows_of(logs, contract, event)[-2])
        data = logs.column("data")[row].as_py()
        value = int.from_bytes(data[32 * word : 32 * word + 32], "big") - by
        return with_data(logs, row, data[: 32 * word] + value.to_bytes(32, "big") + data[32 * word + 32 :])

    return change


def sealed_blocks(lake: Path) -> int:
    return sum(one.span.stop - one.span.start for one in Lake.open(lake).coverage(SLUG).segments)


@pytest.mark.parametrize(
    ("word", "contract", "event", "name"),
    [(3, "aave_v3/pool", "ReserveDataUpdated", "liquidity_index"),
     (4, "aave_v3/pool", "ReserveDataUpdated", "variable_borrow_index"),
     (2, "aave_v3/scaled_token", "Mint", "index"), (2, "aave_v3/scaled_token", "Burn", "index")],
)  # fmt: skip
def test_an_index_that_falls_blocks_its_cell_and_no_other(
    word: int, contract: str, event: str, name: str, changed: Changed, listing: Listing, tmp_path: Path
) -> None:
    logs = changed(lowered(word, 10**25, contract, event))
    outcome = ingest(tmp_path / "lake", listing, logs)
    assert outcome.quarantined
    assert {type(one.error) for one in outcome.quarantined} == {InterestIndexError}
    assert all(f"the {name} of 0x" in one.reason for one in outcome.quarantined)
    assert STOP - CELL <= sealed_blocks(tmp_path / "lake") < STOP


def test_supply_below_zero_tells_that_mints_are_missing(changed: Changed, listing: Listing, tmp_path: Path) -> None:
    def without_mints(logs: pa.Table) -> pa.Table:
        burns = rows_of(logs, "aave_v3/scaled_token", "Burn")
        token = logs.column("address")[int(burns[0])]
        drop = np.zeros(logs.num_rows, dtype=bool)
        drop[rows_of(logs, "aave_v3/scaled_token", "Mint")] = True
        return logs.filter(pa.array(~(drop & pc.equal(logs.column("address"), token).to_numpy())))

    outcome = ingest(tmp_path / "lake", listing, changed(without_mints))
    told = [one.reason for one in outcome.quarantined if isinstance(one.error, SupplyError)]
    assert any("more of 0x" in reason and "is burned than was ever minted" in reason for reason in told)


def test_the_whole_sample_contradicts_nothing_and_neither_does_it_in_pieces(listing: Listing) -> None:
    logs = pq.read_table(LOGS)
    whole = protocol("aave-v3").discovery(listing.deployment)
    whole.see(logs)
    assert list(whole.contradictions(logs)) == []
    pieces = protocol("aave-v3").discovery(listing.deployment)
    pieces.see(logs)
    for start in range(0, logs.num_rows, 1_000):
        assert list(pieces.contradictions(logs.slice(start, 1_000))) == []
    half = protocol("aave-v3").discovery(listing.deployment)
    half.see(logs)
    late = logs.slice(logs.num_rows // 2)
    naming = contract_event("aave_v3/pool_configurator", "ReserveInitialized").topic0
    assert naming not in late.column("topic0").to_pylist()
    assert list(half.contradictions(late)) == [], "a supply whose beginning is not known is not judged"


def test_released_logs_are_offered_to_the_next_ingest_of_their_cell(
    changed: Changed, listing: Listing, tmp_path: Path
) -> None:
    lake, logs = tmp_path / "lake", changed(lowered(4, 10**25, "aave_v3/pool", "ReserveDataUpdated"))

    def outcome() -> Outcome:
        return ingest(lake, listing, logs)

    assert outcome().quarantined
    entries = json.loads(l2liq("quarantine", "list", "--json", lake=lake).out)
    assert {(one["kind"], one["error"]) for one in entries} == {("rows", "InterestIndexError")}
    assert "InterestIndexError" in l2liq("quarantine", "show", entries[0]["id"], lake=lake).out
    assert outcome().quarantined, "looking at the same logs again changes nothing"
    assert len(Lake.open(lake).quarantined()) == len(entries), "nor is it put away twice"
    for one in entries:
        said = l2liq("quarantine", "release", one["id"], "--reason", "compared with an explorer", lake=lake)
        assert said.code == 0
    assert not outcome().quarantined
    assert sealed_blocks(lake) == STOP
    assert Lake.open(lake).verify(SLUG) == []
    history = json.loads(l2liq("quarantine", "list", "--all", "--json", lake=lake).out)
    assert [one["decision"]["verdict"] for one in history] == ["released"] * len(entries)
    assert all(
        one["decision"]["reason"] == "compared with an explorer" and "@" in one["decision"]["who"] for one in history
    )
    assert json.loads(l2liq("quarantine", "list", "--json", lake=lake).out) == []


def test_released_logs_stand_in_for_what_the_source_says_there(
    listing: Listing, tmp_path: Path, changed: Changed
) -> None:
    """A source with a malformed log; the right one was put away, and is released."""
    right = pq.read_table(LOGS)
    row = int(rows_of(right, "aave_v3/pool", "ReserveDataUpdated")[-1])
    lake, logs = tmp_path / "lake", changed(lambda table: with_data(table, row, table.column("data")[row].as_py()[:-1]))
    assert ingest(lake, listing, logs).quarantined
    opened = Lake.open(lake)
    opened.quarantine(right.slice(row, 1), reason="as another node gives it", place="by hand")
    [entry] = [one for one in opened.quarantined() if one.place == "by hand"]
    opened.release(entry, who="me", reason="the file was cut")
    assert not ingest(lake, listing, logs).quarantined
    ingest(tmp_path / "other", listing)
    assert Lake.open(lake).dataset_root(SLUG) == Lake.open(tmp_path / "other").dataset_root(SLUG)


def test_logs_that_contradict_each_other_cannot_be_released_but_discarded(lake: Lake) -> None:
    logs = pq.read_table(LOGS).slice(0, 1)
    both = pa.concat_tables([logs, with_data(logs, 0, b"\1" * 32)])
    lake.quarantine(both, reason="two different logs", place="two.parquet")
    [entry] = lake.quarantined()
    with pytest.raises(InputError, match=r"A release cannot choose"):
        lake.release(entry, who="me", reason="?")
    assert lake.quarantined() == [entry]
    said = l2liq("quarantine", "discard", entry.id[:12], "--reason", "wrong file", lake=lake.path)
    assert said.code == 0
    assert lake.quarantined() == []
    shown = l2liq("quarantine", "show", entry.id, lake=lake.path)
    assert "discarded by" in shown.out
    assert "wrong file" in shown.out
    assert not (entry.path / "rows.parquet").exists()
    again = l2liq("quarantine", "release", entry.id, "--reason", "after all", lake=lake.path)
    assert "was discarded by" in again.refusal(2)


def test_segments_that_were_taken_back_go_back_where_they_were(lake: Lake, listing: Listing) -> None:
    before = lake.dataset_root(SLUG)
    with lake.writer(SLUG, listing.chain.chain_id) as writer:
        moved = writer.unseal_from(1_000, reason="the node has another block there")
    assert moved
    assert lake.dataset_root(SLUG) != before
    [entry] = lake.quarantined()
    assert l2liq("quarantine", "release", entry.id, "--reason", "the node was on a fork", lake=lake.path).code == 0
    assert Lake.open(lake.path).dataset_root(SLUG) == before


def test_segments_do_not_go_back_where_others_lie(lake: Lake, listing: Listing) -> None:
    with lake.writer(SLUG, listing.chain.chain_id) as writer:
        writer.unseal_from(3_000, reason="the node has another block there")
    ingest(lake.path, listing)
    before = lake.dataset_root(SLUG)
    [entry] = lake.quarantined()
    with pytest.raises(InputError, match="holds these blocks now"):
        lake.release(entry, who="me", reason="?")
    assert lake.dataset_root(SLUG) == before
    assert lake.quarantined() == [entry]


def test_what_is_not_there_or_not_said_is_refused(lake: Lake) -> None:
    assert "nothing in quarantine has this id" in l2liq("quarantine", "show", "nothing", lake=lake.path).refusal(2)
    lake.quarantine(b"poison", reason="cannot be read", place="l2liq.logs.base, offset 7")
    [entry] = lake.quarantined()
    assert "--reason is empty" in l2liq("quarantine", "release", entry.id, "--reason", " ", lake=lake.path).refusal(2)
    assert "Missing option" in l2liq("quarantine", "release", entry.id, lake=lake.path).usage()
    said = l2liq("quarantine", "release", entry.id, "--reason", "the producer was mended", lake=lake.path)
    assert "Noted" in said.out
    assert (entry.path / "content.bin").read_bytes() == b"poison"
