"""Damaged, foreign and newer files in a lake: each is named, with the remedy."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2liq.errors import LakeError
from l2liq.lake import CacheKey, Lake
from tests import lake_work
from tests.lake_tables import MARKET


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ingested") / "lake"
    Lake.create(path)
    lake_work.ingest(path)
    return path


def test_a_truncated_segment_is_named_with_the_remedy(ingested: Path, tmp_path: Path) -> None:
    path = shutil.copytree(ingested, tmp_path / "lake")
    victim = path / "logs" / "aave-v3-testnet" / "000000000100-000000000199.parquet"
    victim.write_bytes(victim.read_bytes()[:-100])
    lake = Lake.open(path)
    with pytest.raises(
        LakeError,
        match=r"^logs/aave-v3-testnet/000000000100-000000000199\.parquet: damaged or cut short .* Delete it and run",
    ):
        lake.coverage(MARKET)
    [market] = lake.status().markets
    assert market.problem is not None
    assert market.problem.startswith("logs/aave-v3-testnet/000000000100-000000000199.parquet: damaged")


def test_a_flipped_bit_in_the_rows_of_a_segment_is_noticed_or_harmless(ingested: Path, tmp_path: Path) -> None:
    path = shutil.copytree(ingested, tmp_path / "lake")
    victim = path / "logs" / "aave-v3-testnet" / "000000000100-000000000199.parquet"
    whole = victim.read_bytes()
    data_end = pq.read_metadata(victim).row_group(0).column(11).data_page_offset
    expected = list(Lake.open(path).read_logs(MARKET))
    rng = random.Random(1)
    noticed = 0
    for place in [rng.randrange(4, data_end) for _ in range(40)]:
        victim.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << rng.randrange(8))]) + whole[place + 1 :])
        lake = Lake.open(path)
        problems = lake.verify(MARKET)
        if problems:
            assert problems[0].startswith("logs/aave-v3-testnet/000000000100-000000000199.parquet: ")
            noticed += 1
        else:
            assert list(lake.read_logs(MARKET)) == expected, place
    assert noticed > 20


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", b"hello", "notes.txt: not a file of l2liq. Move it out"),
        ("000000000900-000000000999.parquet", b"hello", "damaged or cut short"),
        ("000000000900-000000000999.parquet", "foreign", "a Parquet file that l2liq did not write"),
        (
            "000000000900-000000000999.parquet",
            "segment",
            r"holds logs of aave-v3-testnet, blocks 100–199\. Put it back",
        ),
    ],
)
def test_a_foreign_file_in_the_lake_is_named(
    ingested: Path, tmp_path: Path, name: str, content: bytes | str, message: str
) -> None:
    path = shutil.copytree(ingested, tmp_path / "lake")
    folder = path / "logs" / "aave-v3-testnet"
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    elif content == "foreign":
        pq.write_table(pa.table({"x": [1]}), folder / name)
    else:
        shutil.copy(folder / "000000000100-000000000199.parquet", folder / name)
    with pytest.raises(LakeError, match=message):
        Lake.open(path).coverage(MARKET)


def test_a_lake_that_is_none_or_newer_or_unwritable_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"there is no lake here\. Make one with `l2liq ingest`"):
        Lake.open(tmp_path / "nowhere")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").write_text("mine")
    with pytest.raises(LakeError, match="not a lake"):
        Lake.open(tmp_path / "full")
    with pytest.raises(LakeError, match="not a lake, and not empty"):
        Lake.create(tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.doc"]
    with pytest.raises(LakeError, match="part of the path is a file"):
        Lake.create(tmp_path / "full" / "thesis.doc" / "lake")
    lake = Lake.create(tmp_path / "newer")
    (lake.path / "lake.json").write_text('{"lake_version": 2, "chains": {}, "more": 1}')
    with pytest.raises(LakeError, match=r"version 2, this l2liq knows 1\. Install a newer l2liq"):
        Lake.open(lake.path)
    (lake.path / "lake.json").write_text('{"lake_ver')
    with pytest.raises(LakeError, match=r"lake\.json: cannot be read"):
        Lake.open(lake.path)


def test_a_damaged_cache_is_named_and_a_stale_one_never_read(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    cache = lake.market_cache(MARKET)
    entry = cache.write(lake_work.KEY, {"ledger": pa.table({"x": [1]})}, {})
    assert cache.read(CacheKey(b"s" * 32, "abi", "code")) is None
    (entry.path / "ledger.parquet").write_bytes(b"PAR1")
    with pytest.raises(LakeError, match=r"ledger\.parquet: cannot be read .* Delete the folder; it is a cache"):
        entry.table("ledger")
