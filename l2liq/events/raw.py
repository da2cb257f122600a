"""Between raw columns (32 bytes, big-endian, two's complement), Python integers and floats."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from l2liq.events.words import RAW, pieces, words_of

Column: TypeAlias = pa.Array | pa.ChunkedArray


def ints(column: Column) -> list[int]:
    """Unsigned integers of a raw column without nulls."""
    return [value for chunk in _chunks(column) for value in _unsigned(chunk)]


def signed_ints(column: Column) -> list[int]:
    """Signed integers of a raw column without nulls."""
    return [value - (1 << 256) if value >> 255 else value for value in ints(column)]


def floats(column: Column, *, signed: bool = False) -> npt.NDArray[np.float64]:
    """The nearest floats, or nearly: the relative error is below 2^-51 (two units in the last place).

    Parameters
    ----------
    column : pa.Array or pa.ChunkedArray
        Raw values without nulls, n of them.
    signed : bool
        Whether the values are two's complement.

    Returns
    -------
    array of float64, shape (n,)
    """
    parts = [_floats(_lanes(chunk), signed) for chunk in _chunks(column)]
    return np.concatenate(parts) if parts else np.empty(0)


def to_raw(values: Iterable[int]) -> pa.Array:
    """A raw column of integers.

    Raises
    ------
    OverflowError
        A value below -2^255 or above 2^256 - 1.
    """
    numbers = list(values)
    try:
        packed = b"".join(map(int.to_bytes, numbers, repeat(32)))
    except OverflowError:
        packed = b"".join([number.to_bytes(32, signed=number < 0) for number in numbers])
    return pa.FixedSizeBinaryArray.from_buffers(RAW, len(numbers), [None, pa.py_buffer(packed)])


def _chunks(column: Column) -> list[pa.FixedSizeBinaryArray]:
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if column.type != RAW or column.null_count:
        raise ValueError(f"a raw column is binary(32) without nulls, not {column.type} with {column.null_count} nulls")
    return chunks


def _lanes(chunk: pa.FixedSizeBinaryArray) -> npt.NDArray[np.uint64]:
    """Four big-endian lanes of each value as native integers, shape (n, 4)."""
    return words_of(chunk).view(np.uint64).byteswap()


def _unsigned(chunk: pa.FixedSizeBinaryArray) -> list[int]:
    words = words_of(chunk)
    lanes = words.view(np.uint64)
    if lanes[:, :3].any():
        return list(map(int.from_bytes, pieces(words)))
    small: list[int] = lanes[:, 3].byteswap().tolist()
    return small


def _floats(lanes: npt.NDArray[np.uint64], signed: bool) -> npt.NDArray[np.float64]:
    negative = lanes[:, 0] >> np.uint64(63) == 1 if signed else np.zeros(len(lanes), bool)
    if negative.any():
        lanes = np.where(negative[:, None], ~lanes, lanes)
    total = lanes[:, 3].astype(np.float64)
    for lane, weight in ((2, 2.0**64), (1, 2.0**128), (0, 2.0**192)):
        total = total + lanes[:, lane].astype(np.float64) * weight
    return np.where(negative, -(total + 1.0), total)
