"""Static ABI types as columns of 32-byte words: which bits of a word are forced, and how words become Arrow arrays.

A column of words is a uint8 array of shape (n, 32); rows may lie apart in memory, a word's bytes may not. Every static
type forces some bits of its word: leading zeros (or copies of the sign) of a number, trailing zeros of bytesN. So one
mask per type says what a well-formed word is, the same as eth-abi's strict decoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from l2liq.errors import InputError

Words = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

INT64_BITS = 56
"""Integers of at most this width become int64 columns; wider ones a pair of exact bytes and decimal."""

DECIMAL = pa.decimal128(38, 0)
RAW = pa.binary(32)

_TEN_38 = divmod(10**38, 1 << 64)
_LEAST = divmod(10**38 - 1, 1 << 64)
_ALL_ONES = np.uint64(2**64 - 1)


@dataclass(frozen=True, slots=True)
class Word:
    """How a static type sits in its word.

    Attributes
    ----------
    kind : str
        ``uint``, ``int``, ``bytes``, ``address`` or ``bool``.
    size : int
        Bytes the value takes, right-aligned except for ``bytes``.
    """

    kind: str
    size: int

    @property
    def wide(self) -> bool:
        """Whether the value is an integer too wide for an int64 column."""
        return self.kind in ("uint", "int") and self.size * 8 > INT64_BITS

    @property
    def signed(self) -> bool:
        return self.kind == "int"


@cache
def word(abi_type: str) -> Word:
    """The word of a static ABI type.

    Raises
    ------
    InputError
        For a type that does not exist or does not fit one word.
    """
    if abi_type == "address":
        return Word("address", 20)
    if abi_type == "bool":
        return Word("bool", 1)
    kind = abi_type.rstrip("0123456789")
    digits = abi_type[len(kind) :]
    size = int(digits or 0) if kind == "bytes" else int(digits or 0) // 8
    if kind not in ("uint", "int", "bytes") or not 1 <= size <= 32 or (kind != "bytes" and int(digits) % 8):
        raise InputError(f"{abi_type!r} is no static ABI type. Use intN, uintN, bytesN, address or bool.")
    return Word(kind, size)


def faults(words: Words, layout: Word) -> Mask | None:
    """Rows whose forced bits are not as the type demands, shape (n,); None where the type forces nothing."""
    mask = _forced_bits(layout)
    lanes = words.view(np.uint64)
    bad: Mask | None = None
    negative = words[:, 32 - layout.size] >= 0x80 if layout.signed else False
    for lane in np.flatnonzero(mask):
        wrong = (lanes[:, lane] & mask[lane]) != np.where(negative, mask[lane], np.uint64(0))
        bad = wrong if bad is None else bad | wrong
    return bad


def columns(words: Words, layout: Word, *, decimals: bool = True) -> tuple[pa.Array, ...]:
    """Arrow arrays of well-formed words: one, or (decimal, raw) for wide integers; without ``decimals`` raw alone."""
    if layout.wide:
        raw = fixed_binary(words, 32)
        return (_decimal(words, layout.signed), raw) if decimals else (raw,)
    if layout.kind == "address":
        return (fixed_binary(words[:, 12:], 20),)
    if layout.kind == "bytes":
        return (fixed_binary(words[:, : layout.size], layout.size),)
    if layout.kind == "bool":
        return (pa.array(words[:, 31] != 0),)
    return (pa.array(words.view(np.uint64)[:, 3].byteswap().view(np.int64)),)


def fixed_binary(values: Words, width: int) -> pa.Array:
    """A fixed-size binary array without nulls from bytes of shape (n, width)."""
    packed = np.ascontiguousarray(values)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(values), [None, pa.py_buffer(packed)])


def words_of(column: pa.FixedSizeBinaryArray) -> Words:
    """Bytes of a fixed-size binary array without copying, shape (n, width); null slots hold anything."""
    width = column.type.byte_width
    buffer = column.buffers()[1]
    if buffer is None or not len(column):
        return np.zeros((len(column), width), np.uint8)
    values = np.frombuffer(buffer, np.uint8)
    return values[column.offset * width : (column.offset + len(column)) * width].reshape(-1, width)


def pieces(values: Words) -> list[bytes]:
    """Bytes of shape (n, width) as n Python objects."""
    packed = np.ascontiguousarray(values)
    rows: list[bytes] = packed.view(f"V{packed.shape[1]}").ravel().tolist()
    return rows


@cache
def _forced_bits(layout: Word) -> npt.NDArray[np.uint64]:
    return forced_bytes(layout).view(np.uint64)


def forced_bytes(layout: Word) -> npt.NDArray[np.uint8]:
    """Bits of a word that its type forces, shape (32,): to zero, or for signed numbers to copies of the sign."""
    mask = np.zeros(32, np.uint8)
    if layout.kind == "bytes":
        mask[layout.size :] = 0xFF
    else:
        mask[: 32 - layout.size] = 0xFF
    if layout.kind == "bool":
        mask[31] = 0xFE
    return mask


def _decimal(words: Words, signed: bool) -> pa.Array:
    """The words as decimal128(38, 0), null where the number has more than 38 digits."""
    lanes = words.view(np.uint64)
    top, high, low = lanes[:, 0] | lanes[:, 1], lanes[:, 2].byteswap(), lanes[:, 3].byteswap()
    fits = (top == 0) & _below(high, low, _TEN_38)
    if signed:
        negative = (lanes[:, 0] & lanes[:, 1]) == _ALL_ONES
        fits |= negative & _below(~high, ~low, _LEAST)
    packed = np.empty((len(words), 2), np.uint64)
    packed[:, 0], packed[:, 1] = low, high
    validity: Any = None
    if not fits.all():
        packed[~fits] = 0
        validity = pa.py_buffer(np.packbits(fits, bitorder="little"))
    return pa.Decimal128Array.from_buffers(DECIMAL, len(words), [validity, pa.py_buffer(packed)])


def _below(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64], bound: tuple[int, int]) -> Mask:
    """Whether the 128-bit number (high, low) is below ``bound``."""
    bound_high, bound_low = np.uint64(bound[0]), np.uint64(bound[1])
    below: Mask = (high < bound_high) | ((high == bound_high) & (low < bound_low))
    return below
