"""Values that are not one word: strings, bytes, arrays and tuples, decoded log by log through eth-abi.

In Arrow they are string, binary, list and struct. Inside lists and structs an integer wider than 56 bits is its exact
32 bytes alone, and its field is called ``x_raw``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pyarrow as pa
from eth_abi.codec import ABIDecoder
from eth_abi.decoding import StringDecoder
from eth_abi.exceptions import DecodingError
from eth_abi.grammar import TupleType, parse
from eth_abi.registry import ABIRegistry, BaseEquals
from eth_abi.registry import registry as default_registry

from l2liq.events.abi import Argument
from l2liq.events.words import RAW, word

REFUSALS = (DecodingError, OverflowError)
"""What eth-abi raises for data that does not fit; OverflowError for lengths beyond the address space."""

_ARRAY = re.compile(r"\[\d*\]$")


def _decoder() -> ABIDecoder:
    """eth-abi's strict decoder, with bytes that are not UTF-8 replaced: a contract may emit any bytes as a string."""
    registry: ABIRegistry = default_registry.copy()  # type: ignore[no-untyped-call]
    lenient = StringDecoder(handle_string_errors="replace")  # type: ignore[no-untyped-call]
    registry.unregister_decoder("string")
    registry.register_decoder(BaseEquals("string"), lenient, label="string")  # type: ignore[no-untyped-call]
    return ABIDecoder(registry)


DECODER = _decoder()


def head_words(abi_type: str) -> int:
    """Words a value takes in the head of the data: its own size where it is static, one offset where it is dynamic."""
    return _head_words(parse(abi_type))


def _head_words(node: Any) -> int:
    if node.is_dynamic:
        return 1
    if node.is_array:
        return int(node.arrlist[-1][0]) * _head_words(node.item_type)
    if isinstance(node, TupleType):
        return sum(_head_words(component) for component in node.components)
    return 1


def arrow_field(argument: Argument) -> pa.Field:
    """Field of a composite argument, or of a component of one."""
    arrow = _arrow_type(argument.type, argument.components)
    leaf = argument.type
    while found := _ARRAY.search(leaf):
        leaf = leaf[: found.start()]
    wide = not leaf.startswith(("(", "string")) and leaf != "bytes" and word(leaf).wide
    return pa.field(f"{argument.column}_raw" if wide else argument.column, arrow, nullable=False)


def array_of(values: Sequence[Any], argument: Argument) -> pa.Array:
    """Arrow array of the values eth-abi gave for a composite argument, None where it gave none."""
    field = arrow_field(argument)
    convert = _converter(argument.type, argument.components)
    return pa.array([None if value is None else convert(value) for value in values], field.type)


def decode_one(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """One log's data; raises one of :data:`REFUSALS`."""
    return DECODER.decode(types, data)


def why_not(arguments: Sequence[Argument], data: bytes) -> str:
    """Why :func:`decode_one` refuses these data: the first argument that fails, and eth-abi's reason."""
    for count in range(1, len(arguments) + 1):
        try:
            decode_one([a.type for a in arguments[:count]], data)
        except REFUSALS as refusal:
            return f"{arguments[count - 1].name}: not a valid {arguments[count - 1].type} ({refusal})"
    return "data: offsets point into the head"


def _arrow_type(abi_type: str, components: tuple[Argument, ...]) -> pa.DataType:
    if found := _ARRAY.search(abi_type):
        return pa.list_(pa.field("item", _arrow_type(abi_type[: found.start()], components), nullable=False))
    if components:
        return pa.struct([arrow_field(component) for component in components])
    if abi_type in ("string", "bytes"):
        return pa.string() if abi_type == "string" else pa.binary()
    layout = word(abi_type)
    if layout.wide:
        return RAW
    if layout.kind in ("uint", "int"):
        return pa.int64()
    return pa.bool_() if layout.kind == "bool" else pa.binary(layout.size)


@cache
def _converter(abi_type: str, components: tuple[Argument, ...]) -> Callable[[Any], Any]:
    """From eth-abi's Python value to what pyarrow takes."""
    if found := _ARRAY.search(abi_type):
        item = _converter(abi_type[: found.start()], components)
        return lambda values: [item(value) for value in values]
    if components:
        parts = [(arrow_field(c).name, _converter(c.type, c.components)) for c in components]
        return lambda values: {name: part(value) for (name, part), value in zip(parts, values, strict=True)}
    if abi_type in ("string", "bytes"):
        return _same
    layout = word(abi_type)
    if layout.kind == "address":
        return lambda value: bytes.fromhex(value[2:])
    if layout.wide:
        return lambda value: value.to_bytes(32, "big", signed=layout.signed)
    return _same


def _same(value: Any) -> Any:
    return value
