"""What events look like: names, argument types, topics, loaded from the ABI files of the ``schemas`` package."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from eth_utils.crypto import keccak

from l2liq.errors import InputError
from l2liq.events.log import POSITION_COLUMNS

RESERVED_COLUMNS = frozenset((*POSITION_COLUMNS, "address"))
"""Columns of every decoded event; no argument may take these names."""

_SCALAR = re.compile(r"u?int(\d+)|bytes(\d+)|address|bool")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an event, or one component of a tuple.

    Attributes
    ----------
    name : str
        As in the contract's source.
    column : str
        Its column in a decoded table: snake case, unique within the event, never a position column.
    type : str
        Canonical ABI type, tuples written out: ``uint256``, ``(address,uint256)[]``.
    indexed : bool
        In a topic instead of the data.
    components : tuple of Argument
        What a tuple, or an array of tuples, consists of.
    """

    name: str
    column: str
    type: str
    indexed: bool = False
    components: tuple[Argument, ...] = ()

    @property
    def scalar(self) -> bool:
        """Whether the value is one 32-byte word: intN, uintN, bytesN, address or bool."""
        return _SCALAR.fullmatch(self.type) is not None


@dataclass(frozen=True, slots=True)
class EventAbi:
    """One event of a contract.

    Attributes
    ----------
    name : str
        As in the contract's source.
    arguments : tuple of Argument
        In the order of declaration.
    topic0 : bytes
        keccak-256 of ``signature`` (32 bytes).
    signature : str
        Name and canonical types, as hashed.
    """

    name: str
    arguments: tuple[Argument, ...]
    topic0: bytes
    signature: str

    def __hash__(self) -> int:
        """Of the topic alone: events are keys of dicts that are looked at for every batch of logs."""
        return hash(self.topic0)

    @property
    def indexed(self) -> tuple[Argument, ...]:
        """Arguments in topics 1 to 3, in order."""
        return tuple(a for a in self.arguments if a.indexed)

    @property
    def topic_count(self) -> int:
        """Topics a log of this event has, the signature's included."""
        return 1 + len(self.indexed)

    @property
    def data(self) -> tuple[Argument, ...]:
        """Arguments in the data, in order."""
        return tuple(a for a in self.arguments if not a.indexed)


def contracts() -> tuple[str, ...]:
    """Names of all contracts with an ABI file, such as ``aave_v3/pool``, sorted."""
    found = (
        f"{folder.name}/{file.name.removesuffix('.json')}"
        for folder in files("schemas").iterdir()
        if folder.is_dir()
        for file in folder.iterdir()
        if file.name.endswith(".json")
    )
    return tuple(sorted(name for name in found if (entries := _entries(name)) and entries[0].get("type") == "event"))


@cache
def contract_events(contract: str) -> tuple[EventAbi, ...]:
    """Events of one ABI file.

    Parameters
    ----------
    contract : str
        Folder and file without suffix, such as ``aave_v3/pool``.
    """
    return tuple(parse_event(entry) for entry in _entries(contract))


def contract_event(contract: str, name: str) -> EventAbi:
    """The event of one ABI file that is called ``name``; a :class:`KeyError` where there is none, or two."""
    found = [event for event in contract_events(contract) if event.name == name]
    if len(found) != 1:
        raise KeyError(f"schemas/{contract}.json has {len(found)} events called {name}")
    return found[0]


@cache
def all_events() -> tuple[EventAbi, ...]:
    """Every event known, of all protocols."""
    return tuple(event for contract in contracts() for event in contract_events(contract))


def parse_event(entry: Mapping[str, Any]) -> EventAbi:
    """An event from its entry in a JSON ABI.

    Raises
    ------
    InputError
        Where the entry is no event, is anonymous, or has types that events cannot have.
    """
    if entry.get("type") != "event" or entry.get("anonymous"):
        raise InputError(f"ABI entry {entry.get('name')!r} is not an event with a topic of its own: leave it out")
    arguments = _arguments(entry["inputs"], RESERVED_COLUMNS)
    if sum(a.indexed for a in arguments) > 3:
        raise InputError(f"event {entry['name']} has more than three indexed arguments")
    signature = f"{entry['name']}({','.join(a.type for a in arguments)})"
    return EventAbi(entry["name"], arguments, bytes(keccak(text=signature)), signature)


def snake_case(name: str) -> str:
    """``onBehalfOf`` → ``on_behalf_of``, ``useATokens`` → ``use_a_tokens``, ``oldIRBase`` → ``old_ir_base``."""
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name.strip("_"))
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", split).lower()


def _entries(contract: str) -> list[Mapping[str, Any]]:
    file = files("schemas").joinpath(*f"{contract}.json".split("/"))
    try:
        loaded = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"schemas/{contract}.json does not exist: there is no ABI for {contract}") from None
    return loaded if isinstance(loaded, list) else []


def _arguments(inputs: list[Mapping[str, Any]], taken: frozenset[str]) -> tuple[Argument, ...]:
    return tuple(_named(inputs, set(taken)))


def _named(inputs: list[Mapping[str, Any]], taken: set[str]) -> Iterator[Argument]:
    """Arguments with columns that collide neither with ``taken`` nor with each other, exact forms included."""
    for place, entry in enumerate(inputs):
        name = entry["name"] or f"argument{place}"
        column = snake_case(name) or f"argument{place}"
        while column in taken or f"{column}_raw" in taken:
            column += "_"
        taken |= {column, f"{column}_raw"}
        components = _arguments(entry.get("components", []), frozenset())
        tuple_type = f"({','.join(c.type for c in components)})"
        canonical = entry["type"].replace("tuple", tuple_type, 1) if components else entry["type"]
        yield Argument(name, column, canonical, bool(entry.get("indexed")), components)
