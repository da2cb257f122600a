"""YAML as plain data with the line of every key: untrusted text in, names, lists and scalars out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent, NodeEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from l2liq.errors import ScenarioError

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
MAX_NODES = 50_000

Place = tuple[str | int, ...]
"""Way from the top of a document to a value: keys and positions in lists."""


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file as plain data.

    Attributes
    ----------
    name : what messages call it
    data : mappings, lists, str, int, Decimal, bool, None; dates stay text
    lines : line of every key and list item, from 1
    """

    name: str
    data: Mapping[str, Any]
    lines: Mapping[Place, int]

    def line_of(self, place: Place) -> int:
        """Line of a place, or of the nearest one above it that the file has."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def error(self, place: Place, message: str) -> ScenarioError:
        """The error that names file, line and key."""
        key = next((str(part) for part in reversed(place) if isinstance(part, str)), None)
        return ScenarioError(f"{self.name}:{self.line_of(place)}: {shown(key) + ': ' if key else ''}{message}")


def shown(text: str) -> str:
    """Foreign text as a message may show it: printable and short."""
    clean = text if text.isprintable() else ascii(text)[1:-1]
    return clean if len(clean) <= 60 else clean[:59] + "…"


def read_document(text: str, name: str) -> Document:
    """Parse YAML 1.2.

    Raises
    ------
    ScenarioError
        With the line: for what is no YAML; for anchors, tags, keys that are not text or stand twice; for text that is
        larger or nests deeper than any honest scenario.
    """
    if len(text.encode()) > MAX_BYTES:
        raise ScenarioError(f"{name}: the file has more than {MAX_BYTES:,} bytes; a scenario has a few hundred.")
    yaml = YAML(typ="safe", pure=True)
    try:
        _refuse_bombs(yaml, text, name)
        root = yaml.compose(text)
    except YAMLError as error:
        raise ScenarioError(_yaml_message(error, name)) from None
    if not isinstance(root, MappingNode):
        raise ScenarioError(f"{name}: a scenario is a list of `key: value` lines; this file has none.")
    lines: dict[Place, int] = {}
    data = _Reader(name, lines).value(root, ())
    return Document(name, data, lines)


def _refuse_bombs(yaml: YAML, text: str, name: str) -> None:
    """Walk the events, which cost no more than the text itself, before anything is built from them."""
    depth = nodes = documents = 0
    for event in yaml.parse(text):
        line = event.start_mark.line + 1
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise ScenarioError(f"{name}:{line}: a second document begins here. Write one scenario per file.")
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor is not None):
            raise ScenarioError(f"{name}:{line}: anchors (&) and aliases (*) are not read. Write the value out.")
        if isinstance(event, CollectionEndEvent):
            depth -= 1
        elif isinstance(event, CollectionStartEvent):
            depth += 1
        nodes += isinstance(event, NodeEvent)
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise ScenarioError(f"{name}:{line}: the file nests deeper or holds more values than a scenario can.")


def _yaml_message(error: YAMLError, name: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or "unreadable text"
    place = f"{name}:{mark.line + 1}" if mark is not None else name
    return f"{place}: this is not YAML: {problem}. Check quotes, colons and indentation."


class _Reader:
    """Turns nodes into data and notes where each stood."""

    def __init__(self, name: str, lines: dict[Place, int]) -> None:
        self.name = name
        self.lines = lines

    def value(self, node: Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if node.tag not in _TAGS:
            raise ScenarioError(
                f"{self.name}:{node.start_mark.line + 1}: the tag {shown(str(node.tag))} is not read. Take it out."
            )
        if isinstance(node, MappingNode):
            return self.mapping(node, place)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        return self.scalar(node)

    def mapping(self, node: MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                raise ScenarioError(f"{self.name}:{line}: a key must be a word or a number.")
            key: str = key_node.value
            if key == "<<":
                raise ScenarioError(f"{self.name}:{line}: merge keys (<<) are not read. Write the values out.")
            if key_node.tag not in _KEY_TAGS:
                raise ScenarioError(f"{self.name}:{line}: the key {key!r} is no name. Put it in quotes if it is meant.")
            if key in found:
                raise ScenarioError(
                    f"{self.name}:{line}: {key} stands here a second time, first on line "
                    f"{self.lines[(*place, key)]}. Keep one."
                )
            self.lines[(*place, key)] = line
            found[key] = self.value(value_node, (*place, key))
        return found

    def scalar(self, node: Node) -> Any:
        text: str = node.value
        kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
        if kind in ("str", "timestamp"):
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        try:
            if kind == "int":
                return int(text.replace("_", ""), 0)
            if kind == "float" and (number := Decimal(text.replace("_", ""))).is_finite():
                return number
        except (ArithmeticError, ValueError):
            pass
        raise ScenarioError(f"{self.name}:{node.start_mark.line + 1}: {shown(text)!r} is no number that can be read.")


_TAGS = {
    f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge")
}
_KEY_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:int"}
"""A number as key is an e-mode category and the like; an address in hex counts as a number in YAML too."""
