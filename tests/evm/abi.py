"""Encoding of calls and decoding of answers from plain signatures such as ``transfer(address,uint256)``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.grammar import TupleType, parse
from eth_utils.crypto import keccak

UINT256_MAX = 2**256 - 1
ZERO_ADDRESS = "0x" + "00" * 20


@cache
def _signature(text: str) -> tuple[bytes, tuple[str, ...]]:
    arguments = text[text.index("(") :]
    return keccak(text.encode())[:4], _types(arguments)


@cache
def _types(arguments: str) -> tuple[str, ...]:
    if arguments == "()":
        return ()
    parsed = parse(arguments)
    assert isinstance(parsed, TupleType)
    return tuple(component.to_type_str() for component in parsed.components)


def call_data(signature: str, *arguments: Any) -> bytes:
    """Selector and encoded arguments."""
    selector, types = _signature(signature)
    return selector + (encode(types, arguments) if types else b"")


def selector(signature: str) -> bytes:
    """The four bytes that name a function."""
    return _signature(signature)[0]


def encode_values(types: str, *values: Any) -> bytes:
    """Encoding of ``values`` as the argument list ``types``, e.g. ``(address,uint256)``."""
    return encode(_types(types), values)


def decode_values(types: str, data: bytes) -> tuple[Any, ...]:
    """Values of the argument list ``types`` in ``data``."""
    return tuple(decode(_types(types), data))


def topic(signature: str) -> str:
    """topic0 of an event, as hex with prefix."""
    return "0x" + keccak(signature.encode()).hex()


def words(data: bytes) -> list[int]:
    """``data`` as unsigned 32-byte words."""
    return [int.from_bytes(data[start : start + 32], "big") for start in range(0, len(data), 32)]


def address_of(word: int) -> str:
    """The address in the low 20 bytes of a word, lower case with prefix."""
    return f"0x{word & (2**160 - 1):040x}"


def hex_bytes(data: bytes) -> str:
    """Hex with prefix."""
    return "0x" + data.hex()


def from_hex(text: str) -> bytes:
    """Bytes of hex with prefix."""
    return bytes.fromhex(text[2:])


def packed(*fields: tuple[int, int]) -> bytes:
    """A bytes32 from (lowest bit, value) fields, as the compact calldata of an L2 pool wants it (DOMAIN §1.12)."""
    word = 0
    for lowest_bit, value in fields:
        word |= value << lowest_bit
    return word.to_bytes(32, "big")


def lowered(addresses: Sequence[str]) -> list[str]:
    """Addresses in lower case."""
    return [address.lower() for address in addresses]
