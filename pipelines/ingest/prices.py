"""Prices that the market's logs do not hold: imported from a table, as observations of the oracle's answer."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from l2liq.chains.markets import Listing
from l2liq.errors import InputError
from l2liq.lake import BLOCK_DATA, OBSERVATION_DATA, Lake, Linkage
from pipelines.ingest.answers import observations
from pipelines.ingest.price_cover import require_cover
from pipelines.sources.opening import Format, detect, opened
from pipelines.sources.tabular import seconds

PRICE_CALL = "getAssetPrice(address)(uint256)"
DECIMALS = 8
"""Decimals of the oracle's prices, applied to ``price``; ``price_base`` is taken as it is."""
MOST = 10**12 * 10**DECIMALS
"""No token costs a million million dollars; integers in the wrong column look as if one did."""


def import_prices(lake_path: Path, listing: Listing, path: Path) -> str:
    """Seal the prices of a table as observations; returns a sentence about it.

    Columns: ``asset`` (0x address), ``price`` (such as 2401.5) or ``price_base`` (the oracle's integer), ``block`` or
    ``timestamp`` (seconds or UTC text). A price holds from the end of its block on; with a timestamp, of the first
    block at or after it that the lake knows; of several within a block, the last. Raises InputError naming the line, or
    what the table would leave without a price.
    """
    lake, slug = Lake.open(lake_path), listing.deployment.slug
    times = _Times(lake, slug)
    target = listing.deployment.addresses.get("oracle", bytes(20))
    found: dict[tuple[int, bytes], _Priced] = {}
    later = 0
    for place, row in _rows(path):
        asset, price = _asset(row, place), _price(row, place)
        block, moment = times.block_of(row, place)
        if block is None:
            later += 1
            continue
        held = found.get((block, asset))
        if held is not None and held.moment == moment and held.price != price:
            raise InputError(
                f"{place}: another price of 0x{asset.hex()} at the same time than {held.place}. "
                "Leave the wrong one out."
            )
        if held is None or held.moment <= moment:
            found[block, asset] = _Priced(moment, price, place)
    if not found:
        raise InputError(f"{path}: no price falls into the blocks that the lake knows. Ingest the market's logs first.")
    table = observations(
        [
            (block, target, PRICE_CALL, bytes(12) + asset, one.price.to_bytes(32, "big"), path.name)
            for (block, asset), one in sorted(found.items())
        ]
    )
    told = require_cover(lake, listing, table, str(path))
    grid = lake.grid(listing.chain.chain_id, listing.chain.cell_blocks)
    with lake.writer(slug, listing.chain.chain_id) as writer:
        starts = np.array([grid.cell_of(block).start for block in table.column("block_number").to_pylist()])
        for start in np.unique(starts):
            rows = table.filter(pa.array(starts == start))
            writer.seal(OBSERVATION_DATA, grid.cell_of(int(start)), rows, linkage=Linkage.UNVERIFIED, source=path.name)
    behind = f" {later:,} lie behind the last known block and were left out." if later else ""
    undo = "`l2liq ingest --drop-prices` takes them back."
    return " ".join([f"Imported {len(found):,} prices from {path.name}.{behind}", *told, undo])


def drop_prices(lake_path: Path, listing: Listing) -> str:
    """Take every imported price back, into quarantine; a sentence about it. What a node was asked stays."""
    with Lake.open(lake_path).writer(listing.deployment.slug, listing.chain.chain_id) as writer:
        moved = writer.drop_imported(reason="imported prices, taken back by hand")
    if not moved:
        return f"There are no imported prices of {listing.deployment.name}."
    return f"Took back the imported prices of {listing.deployment.name}: {len(moved):,} files, now in quarantine."


@dataclass(frozen=True, slots=True)
class _Priced:
    """A price, when it was told (block or time as the row has it), and where."""

    moment: int
    price: int
    place: str


class _Times:
    """Blocks by time, as far as the lake knows them."""

    def __init__(self, lake: Lake, slug: str) -> None:
        blocks = lake.read(BLOCK_DATA, slug)
        self._span = lake.coverage(slug).span
        numbers = [blocks.column("number").to_numpy()]
        times = [blocks.column("timestamp_s").to_numpy()]
        for table in lake.read_logs(slug, columns=["block_number", "timestamp_s"]):
            found, first = np.unique(table.column("block_number").to_numpy(), return_index=True)
            numbers.append(found)
            times.append(table.column("timestamp_s").to_numpy()[first])
        self._numbers, first = np.unique(np.concatenate(numbers), return_index=True)
        self._seconds = np.concatenate(times)[first]

    def block_of(self, row: Mapping[str, Any], place: str) -> tuple[int | None, int]:
        """The block of a row, None where it is behind the last one; and the block or time that the row gives."""
        block = row.get("block") if row.get("block") not in (None, "") else row.get("block_number")
        if block not in (None, ""):
            number = _whole(block, place)
            if self._span is None or number < self._span.start:
                raise InputError(f"{place}: block {number:,} lies before the first block that the lake looked at.")
            return (number if number < self._span.stop else None), number
        time = _time(row.get("timestamp"), place)
        index = int(np.searchsorted(self._seconds, time))
        return (int(self._numbers[index]) if index < len(self._numbers) else None), time


def _time(value: Any, place: str) -> int:
    """Seconds since 1970 of a number, a text or what Parquet calls a timestamp."""
    if hasattr(value, "timestamp"):
        return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    found = seconds(value, place) if isinstance(value, str) else None if value is None else _whole(value, place)
    if found is None:
        raise InputError(f"{place}: a price needs a block or a timestamp.")
    return found


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if detect(path) is Format.PARQUET:
        try:
            rows = pq.read_table(path, partitioning=None).to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{path}: not a whole Parquet file ({str(error).splitlines()[0][:80]}). Copy it again."
            ) from None
        yield from ((f"{path}: row {number}", row) for number, row in enumerate(rows, 1))
        return
    with opened(path) as file:
        reader = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
        for row in reader:
            yield f"{path}:{reader.line_num}", row


def _asset(row: Mapping[str, Any], place: str) -> bytes:
    value = row.get("asset")
    try:
        found = value if isinstance(value, bytes) else bytes.fromhex(str(value).removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != 20:
        raise InputError(f"{place}: asset {str(value)[:60]!r} is no address. Write 0x and 40 hex digits.")
    return found


def _price(row: Mapping[str, Any], place: str) -> int:
    """A price as the oracle would answer it; what lies below its last decimal is cut off."""
    base, text = row.get("price_base"), row.get("price")
    if base not in (None, ""):
        found = _whole(base, place)
    else:
        try:
            found = int(Decimal(str(text)).scaleb(DECIMALS))
        except (InvalidOperation, ValueError, OverflowError):
            raise InputError(
                f"{place}: price {str(text)[:60]!r} is no number. Write it like 2401.5, or price_base."
            ) from None
    if found <= 0:
        raise InputError(f"{place}: the price {str(text or base)[:60]} is not above zero.")
    if found > MOST:
        raise InputError(
            f"{place}: the price {str(text or base)[:60]} is above {MOST // 10**DECIMALS:,} dollars. A column with the "
            f"oracle's integers is called price_base."
        )
    return found


def _whole(value: Any, place: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise InputError(f"{place}: {str(value)[:60]!r} is no whole number.") from None
