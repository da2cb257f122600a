"""Markets by name and by file: what is known, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from l2liq.chains.chain import Finality
from l2liq.chains.deployment import SLUG
from l2liq.chains.markets import chain_of, chains, find_market, market_names, slug_of
from l2liq.errors import InputError

PROVIDER = "0xa97684ead0e402dC232d5A977953DF7ECBaB3CDb"
MARKET = f"protocol: aave-v3\nversion: 3.0.2\nchain_id: 31337\naddresses_provider: '{PROVIDER}'\n"


def written(folder: Path, text: str, name: str = "mine.yaml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_every_market_of_the_issue_is_known_with_its_contracts_and_a_chain_of_its_own() -> None:
    wanted = {f"aave-v3/{chain}" for chain in ("arbitrum", "optimism", "base", "polygon", "scroll", "zksync", "linea")}
    assert wanted <= set(market_names())
    for name in market_names():
        listing = find_market(name)
        assert SLUG.fullmatch(listing.deployment.slug)
        assert chain_of(listing.deployment.chain_id) is not None
        assert chains()[name.split("/")[1]].chain_id == listing.deployment.chain_id
        assert {"addresses_provider", "pool"} <= set(listing.deployment.addresses)
        assert all(len(address) == 20 for address in listing.deployment.addresses.values())
    ids = [chain.chain_id for chain in chains().values()]
    assert len(ids) == len(set(ids))


def test_a_cell_of_every_known_chain_is_about_a_day() -> None:
    for chain in chains().values():
        assert chain.block_time_ms is not None
        assert 20 <= chain.cell_blocks * chain.block_time_ms / 3_600_000 <= 28, chain.name


def test_the_mistyped_digit_of_an_address_is_noticed_by_its_checksum(tmp_path: Path) -> None:
    mistyped = PROVIDER.replace("0xa9", "0xb9")
    with pytest.raises(InputError, match=r"mine\.yaml: addresses_provider: .*checksum"):
        find_market(written(tmp_path, MARKET.replace(PROVIDER, mistyped)))


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("spelling", [str.lower, to_checksum_address], ids=["lower", "checksummed"])
def test_an_address_is_read_the_same_however_it_is_written(tmp_path: Path, quote: str, spelling) -> None:
    text = f"protocol: aave-v3\nversion: 3.1\nchain_id: 31337\naddresses_provider: {quote}{spelling(PROVIDER)}{quote}\n"
    deployment = find_market(written(tmp_path, text)).deployment
    assert deployment.addresses == {"addresses_provider": bytes.fromhex(PROVIDER[2:])}
    assert (deployment.name, deployment.slug, deployment.version) == ("mine", "mine", "3.1")


def test_a_market_file_says_cells_finality_and_supplement_of_an_unknown_chain(tmp_path: Path) -> None:
    text = (
        MARKET + "name: aave-v3/mine\nstart_block: 12\ncell_blocks: 500\nfinality: 7\nsupplement: {tokens: {0xAB: 1}}\n"
    )
    listing = find_market(written(tmp_path, text))
    assert listing.deployment.slug == "aave-v3-mine"
    assert listing.deployment.start_block == 12
    assert listing.deployment.supplement == {"tokens": {"0xAB": 1}}
    assert (listing.chain.cell_blocks, listing.chain.finality) == (500, Finality(None, 7))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no market in it"),
        ("- a\n- b\n", "no market in it"),
        ("protocol: [\n", r"mine\.yaml:2: not YAML"),
        ("a: &a [*a]\n", "mine"),
        ("protocol: aave-v3\n", "version is missing"),
        (MARKET.replace("31337", "'31337'"), "chain_id"),
        (MARKET.replace("31337", "-1"), "chain_id"),
        (MARKET.replace("31337", "42161") + "cell_blocks: 7\n", "cell_blocks of arbitrum is 345600"),
        (MARKET + "adresses: {}\n", "adresses is not a key"),
        (MARKET + "finality: soon\n", "'soon' is no finality"),
        (MARKET + "name: ../../etc/passwd\n", "cannot name a market"),
        (MARKET + "name: 'a; DROP TABLE logs'\n", "cannot name a market"),
        (MARKET + "name: <script>\n", "cannot name a market"),
        (MARKET + f"name: {'a' * 101}\n", "cannot name a market"),
        (MARKET.replace(PROVIDER, "0x1234"), "is no address"),
    ],
)
def test_what_is_no_market_is_refused_with_the_file_and_the_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        find_market(written(tmp_path, text))
    assert "mine.yaml" in str(caught.value)


@pytest.mark.parametrize("name", ["aave-v3/moon", "../../nowhere/x", "no/such/file.yaml", "", "aave-v3/arbitrum\0"])
def test_an_unknown_name_is_refused_and_the_known_ones_are_named(name: str) -> None:
    with pytest.raises(InputError, match="aave-v3/arbitrum"):
        find_market(name)


@given(st.text(max_size=120))
def test_a_slug_is_safe_in_a_path_whatever_the_name(name: str) -> None:
    try:
        slug = slug_of(name)
    except InputError:
        return
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
