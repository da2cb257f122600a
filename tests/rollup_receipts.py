"""Transactions of real rollups encoded again from their fields, proven by their hash."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rlp
from eth_utils.crypto import keccak

Receipt = dict[str, Any]


def receipts(folder: Path, chain: str) -> Iterator[Receipt]:
    """Lines of shared/data/l2-receipts of one chain."""
    with gzip.open(folder / "l2-receipts" / "receipts.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from (found for found in map(json.loads, lines) if found["chain"] == chain)


def quantity(fields: dict[str, Any], name: str) -> int:
    return int(fields[name], 16)


def encoded(tx: dict[str, Any]) -> bytes:
    """The signed, typed, RLP-encoded transaction; its hash is checked against the one on chain."""
    signature = [quantity(tx, name) for name in ("v", "r", "s")]
    if tx.get("type", "0x0") in ("0x0", None):
        found = rlp.encode([*_legacy(tx), *signature])
    else:
        assert tx["type"] == "0x2", tx["type"]
        access = [[_raw(one["address"]), [_raw(key) for key in one["storageKeys"]]] for one in tx["accessList"]]
        names = ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas")
        numbers = [quantity(tx, name) for name in names]
        tail = [_raw(tx["to"]), quantity(tx, "value"), _raw(tx["input"]), access, *signature]
        found = b"\x02" + rlp.encode([*numbers, *tail])
    assert "0x" + keccak(found).hex() == tx["hash"]
    return found


def encoded_unsigned(tx: dict[str, Any]) -> bytes:
    """A legacy transaction's six fields."""
    return bytes(rlp.encode(_legacy(tx)))


def _legacy(tx: dict[str, Any]) -> list[Any]:
    numbers = [quantity(tx, name) for name in ("nonce", "gasPrice", "gas")]
    return [*numbers, _raw(tx["to"]), quantity(tx, "value"), _raw(tx["input"])]


def _raw(text: str | None) -> bytes:
    return bytes.fromhex(text.removeprefix("0x")) if text else b""
