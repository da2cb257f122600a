"""Chains: what the registry says of each, spans of time, the four clocks; and what is refused."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from l2liq.chains.clocks import Clocks, ClockTimes
from l2liq.chains.dated import Dated, Span, dated
from l2liq.chains.described import described
from l2liq.chains.entry import ChainEntry, RollupEntry
from l2liq.chains.failures import NO_FAILURES
from l2liq.chains.markets import chains, find_market
from l2liq.chains.rollup import Kind, Ordering, Rollup
from l2liq.errors import InputError
from pipelines.listings import as_yaml

NOW_S = 1_790_000_000
PROVIDER = "0xa97684ead0e402dC232d5A977953DF7ECBaB3CDb"
CLOCKS = {
    "from": "2024-01-01",
    "publication_s": 300,
    "l1_finality_s": 768,
    "settlement_s": 604_800,
    "source": "made up",
}


def seconds(text: str) -> int:
    return RollupEntry(genesis=text).genesis


def test_the_registry_knows_the_rollups_that_matter_with_kind_clocks_and_ordering() -> None:
    known = chains()
    optimistic = {"arbitrum", "optimism", "base"}
    validity = {"zksync", "scroll", "linea", "polygon-zkevm", "starknet", "starkex"}
    assert {name for name, chain in known.items() if chain.rollup.kind is Kind.OPTIMISTIC} == optimistic
    assert {name for name, chain in known.items() if chain.rollup.kind is Kind.VALIDITY} == validity
    for name in optimistic | validity:
        rollup = known[name].rollup
        now = rollup.clocks.at(NOW_S)
        assert now is not None
        assert now.source
        assert rollup.ordering.at(NOW_S) is not None, name
        assert rollup.clocks.at(rollup.genesis_s - 1) is None
        assert rollup.fees.at(rollup.genesis_s - 1) is None
        assert name in ("starknet", "starkex") or rollup.fees.first_gap(1_720_000_000, NOW_S) is None, name


def test_dated_values_change_when_the_chain_did() -> None:
    known = chains()
    arbitrum, zksync, scroll = (known[name].rollup for name in ("arbitrum", "zksync", "scroll"))
    assert [arbitrum.ordering.at(seconds(day)).policy for day in ("2025-04-16", "2025-04-18")] == [  # type: ignore[union-attr]
        Ordering.FIRST_COME,
        Ordering.EXPRESS_LANE,
    ]
    before, after = (zksync.clocks.at(seconds(day)) for day in ("2025-01-30", "2025-02-01"))
    assert before is not None
    assert after is not None
    assert before.settlement_s - after.settlement_s == 18 * 3_600
    schemes = [scroll.fees.at(seconds(day)).scheme for day in ("2024-01-01", "2025-01-01", "2025-10-01", "2026-01-01")]  # type: ignore[union-attr]
    assert schemes == ["scroll-bernoulli", "scroll-curie", "scroll-feynman", "scroll-galileo"]
    optimism = known["optimism"].rollup.fees
    assert [optimism.at(s).scheme for s in (1_710_374_400, 1_710_374_401)] == ["bedrock", "ecotone"]  # type: ignore[union-attr]


def test_settlement_is_days_where_it_can_be_challenged_and_hours_where_it_is_proven() -> None:
    for chain in chains().values():
        now = chain.rollup.clocks.at(NOW_S)
        if now is not None:
            days = now.settlement_s / 86_400
            assert (6 < days < 8) == (chain.rollup.kind is Kind.OPTIMISTIC), chain.name


def test_each_clock_counts_from_the_one_before_it() -> None:
    clocks = dated([Span(0, None, Clocks(300, 768, 3_600, "made up"))], 0)
    assert NO_FAILURES.times(clocks, 1_000) == ClockTimes(1_300, 2_068, 4_900)
    assert NO_FAILURES.times(Dated(), 1_000) == ClockTimes(None, None, None)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6, unique=True), st.integers(0, 60), st.integers(0, 60))
def test_a_span_holds_until_the_next_begins(starts: list[int], at: int, until: int) -> None:
    found = dated([Span(start, None, start) for start in starts], 0)
    assert found.at(at) == max((start for start in starts if start <= at), default=None)
    gap = found.first_gap(at, max(at, until))
    assert gap == (None if min(starts) <= at else at)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=5), st.integers(0, 50), st.integers(0, 20))
def test_the_first_gap_is_the_first_moment_without_a_value(spans: list[tuple[int, int]], first: int, more: int) -> None:
    try:
        found = dated([Span(start, start + length, start) for start, length in spans], 0)
    except ValueError:
        return
    missing = [at for at in range(first, first + more + 1) if found.at(at) is None]
    assert found.first_gap(first, first + more) == (missing[0] if missing else None)


def changed(**changes: object) -> dict[str, object]:
    return {"genesis": "2023-01-01", "clocks": [{**CLOCKS, **changes}]}


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (changed(publication_s=-1), "-1 is no time that passes"),
        (changed(publication_s=1.5), "1.5 is no time that passes"),
        (changed(settlement_s=700), "settlement_s 700 is less than l1_finality_s 768"),
        (changed(**{"from": "2022-12-31"}), "clocks: a span begins 2022-12-31T00:00:00Z, before the chain's genesis"),
        (changed(until="2023-06-01"), "begins 2024-01-01T00:00:00Z and ends 2023-06-01T00:00:00Z. Give an end"),
        (changed(**{"from": "yesterday"}), "'yesterday' is no moment"),
        (changed(source=""), "source"),
        (changed(moon=1), "moon"),
        ({"clocks": [CLOCKS, {**CLOCKS}]}, "clocks: two spans overlap 2024-01-01T00:00:00Z"),
        (
            {"clocks": [{**CLOCKS, "until": "2024-03-01"}, {**CLOCKS, "from": "2024-02-01"}]},
            "two spans overlap 2024-02-01T00:00:00Z",
        ),
        ({"genesis": "2024-01-01", "fees": [{"from": "2023-01-01", "scheme": "plain"}]}, "fees: a span begins 2023"),
        ({"fees": [{"from": "2023-01-01", "scheme": "moon"}]}, "'moon' is no fee scheme. Known are plain"),
        ({"fees": [{"from": "2023-01-01", "scheme": "fjord", "scalars": {"scalar": 1}}]}, "fjord has no scalar"),
        ({"fees": [{"from": "2023-01-01", "scheme": "bedrock", "scalars": {"scalar": -1}}]}, "scalars.scalar"),
        ({"kind": "magic"}, "kind"),
        ({"ordering": [{"from": "2023-01-01", "policy": "luck"}]}, "policy"),
        ({"forced_inclusion_s": -5}, "-5 is no time that passes"),
        ({"uptime_feed": "0x12"}, "is no address"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_place(entry: dict[str, object], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        RollupEntry.model_validate(entry)
    from ruamel.yaml import YAML

    path = tmp_path / "mine.yaml"
    market = {
        "protocol": "aave-v3",
        "version": "3.1",
        "chain_id": 31337,
        "addresses_provider": PROVIDER,
        "rollup": entry,
    }
    with path.open("w") as out:
        YAML().dump({**market, "rollup": entry}, out)
    with pytest.raises(InputError) as caught:
        find_market(str(path))
    assert complaint in str(caught.value)
    assert str(caught.value).startswith(f"{path}: rollup")


def test_a_market_file_gives_a_chain_its_clocks_or_those_of_a_known_chain(tmp_path: Path) -> None:
    head = f"protocol: aave-v3\nversion: 3.1\nchain_id: 31337\naddresses_provider: '{PROVIDER}'\n"
    path = tmp_path / "mine.yaml"
    path.write_text(head)
    assert find_market(str(path)).chain.rollup.clocks == Dated()
    path.write_text(head + "rollup: starkex\n")
    assert find_market(str(path)).chain.rollup == chains()["starkex"].rollup
    assert find_market(str(path)).chain.chain_id == 31337
    clocks = "[{from: 2024-01-01, publication_s: 300, l1_finality_s: 768, settlement_s: 604800, source: mine}]"
    path.write_text(head + f"rollup: {{kind: optimistic, clocks: {clocks}}}\n")
    chain = find_market(str(path)).chain
    assert chain.kind == "optimistic rollup"
    assert chain.rollup.clocks.at(NOW_S) == Clocks(300, 768, 604_800, "mine")
    path.write_text(head + "rollup: moonchain\n")
    with pytest.raises(InputError, match=r"rollup: 'moonchain' is no chain of the registry. Known are arbitrum"):
        find_market(str(path))


def test_a_chain_needs_a_positive_block_time() -> None:
    entry = {"chain_id": 7, "block_time_ms": 0, "cell_blocks": 10, "finality": "finalized"}
    with pytest.raises(ValidationError, match="block_time_ms"):
        ChainEntry.model_validate(entry)


@pytest.mark.parametrize("name", sorted(chains()))
def test_a_rollup_described_is_the_same_rollup_when_read_again(name: str) -> None:
    rollup = chains()[name].rollup
    assert RollupEntry.model_validate(described(rollup)).rollup() == rollup


def test_nothing_is_described_of_a_chain_of_which_nothing_is_known() -> None:
    assert described(Rollup()) == {}


def test_a_market_file_that_was_kept_says_the_same_of_its_rollup(tmp_path: Path) -> None:
    with as_file(files("pipelines.sample") / "market.yaml") as path:
        listing = find_market(str(path))
    kept = tmp_path / "kept.yaml"
    kept.write_text(as_yaml(listing))
    assert listing.chain.rollup.clocks.spans
    assert find_market(str(kept)).chain == listing.chain
