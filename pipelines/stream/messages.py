"""The three messages of a stream, as Avro (``schemas/kafka``), each with a fingerprint of its schema and its content.

A value is in Avro's single-object encoding: two marker bytes, the schema's CRC-64-AVRO, the body. The record header
``fingerprint`` is the SHA-256 of all that. A message is for one market, whose slug is the record's key.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form

from l2liq.errors import MessageError
from l2liq.events.filter import Filter
from pipelines.sources.node import Header
from pipelines.stream.packing import Packed

FINGERPRINT = "fingerprint"
LARGEST_BYTES = 16 << 20
"""No message is larger: a topic is created with this bound, and a sink refuses what exceeds it."""
PART_BYTES = 512 << 10
"""What the logs of one message may take; a block with more comes in parts."""

_MARKER = b"\xc3\x01"
_MOST_BLOCK = 1 << 39


@dataclass(frozen=True, slots=True)
class Block:
    """Logs of one market in one block, or a part of them."""

    market: str
    chain_id: int
    header: Header
    part: int
    parts: int
    logs: Packed = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a contract answered; ``answer`` is empty where it has none, None where the node has no such state."""

    block: int
    target: bytes
    call: str
    arguments: bytes
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class Scanned:
    """All logs of blocks ``first`` to ``last`` have been sent. ``filter`` is None where ``filter_id`` names it."""

    market: str
    chain_id: int
    first: Header
    last: Header
    final_to: int
    logs: int
    market_start: int
    filter_id: bytes
    filter: Filter | None = field(repr=False)
    answers: tuple[Answer, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Retract:
    """Forget every block from ``from_block`` on; the block before it is ``new_parent``."""

    market: str
    chain_id: int
    from_block: int
    new_parent: bytes


Message = Block | Scanned | Retract


def _schema(name: str) -> tuple[Any, bytes]:
    content = json.loads(files("schemas").joinpath("kafka", f"{name}.avsc").read_text(encoding="utf-8"))
    mark = bytes.fromhex(fingerprint(to_parsing_canonical_form(content), "CRC-64-AVRO"))
    return parse_schema(content), _MARKER + mark


_BLOCK, _BLOCK_MARK = _schema("block")
_SCANNED, _SCANNED_MARK = _schema("scanned")
_RETRACT, _RETRACT_MARK = _schema("retract")
_MARK_BYTES = len(_BLOCK_MARK)
_KNOWN = {_BLOCK_MARK: _BLOCK, _SCANNED_MARK: _SCANNED, _RETRACT_MARK: _RETRACT}


def encode(message: Message) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Value and headers of the record that carries a message."""
    body = io.BytesIO()
    if isinstance(message, Block):
        mark, schema, content = _BLOCK_MARK, _BLOCK, _block_out(message)
    elif isinstance(message, Scanned):
        mark, schema, content = _SCANNED_MARK, _SCANNED, _scanned_out(message)
    else:
        mark, schema = _RETRACT_MARK, _RETRACT
        content = {name: getattr(message, name) for name in Retract.__slots__}
    body.write(mark)
    schemaless_writer(body, schema, content)
    value = body.getvalue()
    return value, [(FINGERPRINT, hashlib.sha256(value).digest())]


def decode(value: bytes | None, headers: Sequence[tuple[str, bytes]], market: str, chain_id: int) -> Message:
    """The message of a record whose key is ``market``.

    Raises MessageError where it is none of ours, was damaged, or is about another market or chain.
    """
    if value is None:
        raise MessageError("the record has no value")
    if len(value) > LARGEST_BYTES:
        raise MessageError(f"the record has {len(value):,} bytes, more than the {LARGEST_BYTES:,} of any message")
    mark = value[:_MARK_BYTES]
    schema = _KNOWN.get(mark)
    if schema is None:
        raise MessageError(f"the record begins with {mark.hex()}, the mark of no schema in schemas/kafka")
    digest = hashlib.sha256(value).digest()
    if (FINGERPRINT, digest) not in headers:
        raise MessageError("the content is not what its fingerprint says: damaged, cut short or from someone else")
    body = io.BytesIO(value)
    body.seek(_MARK_BYTES)
    try:
        content: Any = schemaless_reader(body, schema, None)
    except (ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise MessageError(f"the content does not follow its schema ({type(error).__name__})") from None
    if body.tell() != len(value):
        raise MessageError("the content goes on behind its end")
    if content["market"] != market or content["chain_id"] != chain_id:
        raise MessageError(
            f"it is about {content['market'][:100]} on chain {content['chain_id']}, its key is {market} "
            f"and its topic of chain {chain_id}"
        )
    if schema is _BLOCK:
        return _block_in(content)
    return _scanned_in(content) if schema is _SCANNED else _retract_in(content)


def are_blocks(values: Iterable[bytes | None]) -> list[bool]:
    """Whether records' values say that they are :class:`Block`, told without reading them."""
    return [value is not None and value[:_MARK_BYTES] == _BLOCK_MARK for value in values]


def block_prefix(market: str, chain_id: int) -> bytes:
    """What the value of every :class:`Block` of a market begins with: the mark, the market, the chain."""
    body = io.BytesIO()
    body.write(_BLOCK_MARK)
    schemaless_writer(body, "string", market)
    schemaless_writer(body, "long", chain_id)
    return body.getvalue()


def is_mark(value: bytes | None) -> bool:
    """Whether a record's value is a :class:`Scanned` or a :class:`Retract`, told without reading it."""
    return value is not None and value[:_MARK_BYTES] in (_SCANNED_MARK, _RETRACT_MARK)


def filter_id(wanted: Filter) -> bytes:
    """The name of a filter, 16 bytes."""
    digest = hashlib.sha256()
    for address, topics in sorted(wanted.topics.items()):
        digest.update(address)
        digest.update(b"*" if topics is None else b"".join([b"%d:" % len(topics), *sorted(topics)]))
    return digest.digest()[:16]


def _header_out(header: Header) -> dict[str, Any]:
    return {
        "number": header.number,
        "hash": header.hash,
        "parent_hash": header.parent_hash,
        "timestamp_s": header.timestamp_s,
        "base_fee_wei": header.base_fee_wei,
    }


def _header_in(content: Any) -> Header:
    number = content["number"]
    if not 0 <= number < _MOST_BLOCK:
        raise MessageError(f"{number} is no number of a block")
    return Header(number, content["hash"], content["parent_hash"], content["timestamp_s"], content["base_fee_wei"], 0)


def _block_out(block: Block) -> dict[str, Any]:
    return {
        "market": block.market,
        "chain_id": block.chain_id,
        "header": _header_out(block.header),
        "part": block.part,
        "parts": block.parts,
        "logs": block.logs._asdict(),
    }


def _block_in(content: Any) -> Block:
    part, parts = content["part"], content["parts"]
    if not 0 <= part < parts:
        raise MessageError(f"it is part {part} of {parts}")
    header = _header_in(content["header"])
    return Block(content["market"], content["chain_id"], header, part, parts, Packed._make(content["logs"].values()))


def _scanned_out(scanned: Scanned) -> dict[str, Any]:
    answers = [{name: getattr(one, name) for name in Answer.__slots__} for one in scanned.answers]
    return {
        "market": scanned.market,
        "chain_id": scanned.chain_id,
        "first": _header_out(scanned.first),
        "last": _header_out(scanned.last),
        "final_to": scanned.final_to,
        "logs": scanned.logs,
        "market_start": scanned.market_start,
        "filter_id": scanned.filter_id,
        "filter": None if scanned.filter is None else _filter_out(scanned.filter),
        "answers": answers,
    }


def _scanned_in(content: Any) -> Scanned:
    first, last = _header_in(content["first"]), _header_in(content["last"])
    if first.number > last.number or content["logs"] < 0 or not 0 <= content["market_start"] < _MOST_BLOCK:
        raise MessageError(f"it scanned blocks {first.number} to {last.number} with {content['logs']} logs")
    wanted = None
    if content["filter"] is not None:
        wanted = Filter(
            {
                address: None if group["topics"] is None else frozenset(group["topics"])
                for group in content["filter"]
                for address in group["addresses"]
            }
        )
        if filter_id(wanted) != content["filter_id"]:
            raise MessageError("its filter is not the one that its id names")
    return Scanned(
        content["market"],
        content["chain_id"],
        first,
        last,
        content["final_to"],
        content["logs"],
        content["market_start"],
        content["filter_id"],
        wanted,
        tuple(Answer(**one) for one in content["answers"]),
    )


def _retract_in(content: Any) -> Retract:
    if not 0 <= content["from_block"] < _MOST_BLOCK:
        raise MessageError(f"{content['from_block']} is no number of a block")
    return Retract(content["market"], content["chain_id"], content["from_block"], content["new_parent"])


def _filter_out(wanted: Filter) -> list[dict[str, Any]]:
    groups: dict[frozenset[bytes] | None, list[bytes]] = {}
    for address, topics in sorted(wanted.topics.items()):
        groups.setdefault(topics, []).append(address)
    return [
        {"addresses": addresses, "topics": None if topics is None else sorted(topics)}
        for topics, addresses in groups.items()
    ]
