"""From YAML text to scenarios; every mistake in one message with file, line, key and the fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from l2liq.errors import ScenarioError
from l2liq.protocols.levers import Levers
from l2liq.scenario.document import Document, Place, read_document, shown
from l2liq.scenario.model import ScenarioBase, scenario_model
from l2liq.scenario.sweep import point_title, points_of, with_values

MAX_ERRORS = 12
MOST_QUOTED = 60


@dataclass(frozen=True, slots=True)
class Loaded:
    """One scenario of a file.

    Attributes
    ----------
    scenario : validated; its protocol's ``change`` included
    document : the file, for messages that name lines
    swept : places whose values came from the sweep
    """

    scenario: ScenarioBase
    document: Document
    swept: frozenset[Place]

    def error(self, place: Place, message: str) -> ScenarioError:
        """The error at a place of the scenario, on the line that gave it its value."""
        return self.document.error(_written_at(self.document, place, self.swept), message)


def load_scenarios(text: str, name: str, levers: Levers) -> list[Loaded]:
    """All scenarios of a file: one, or one per combination of its sweep.

    ``text`` is YAML, ``name`` what messages call the file, ``levers`` what the market's protocol allows to change.
    Raises ScenarioError with one line per mistake.
    """
    document = read_document(text, name)
    model = scenario_model(levers)
    loaded = []
    for point in points_of(document):
        data = with_values(document.data, point)
        if point and isinstance(data.get("name"), str):
            data["name"] = f"{data['name']}: {point_title(point)}"[:200]
        swept = frozenset(point)
        try:
            loaded.append(Loaded(model.model_validate(data), document, swept))
        except ValidationError as error:
            raise ScenarioError(_messages(error, document, model, data, swept)) from None
    return loaded


def market_named(text: str, name: str) -> str | None:
    """The market a scenario file names, before its protocol is known; None where it names none."""
    document = read_document(text, name)
    market = document.data.get("market")
    if market is not None and not isinstance(market, str):
        raise document.error(("market",), "is no name. Write one from `l2liq market list`, or a market YAML file.")
    return market


def _written_at(document: Document, place: Place, swept: frozenset[Place]) -> Place:
    for point in swept:
        if place[: len(point)] == point:
            return ("sweep", *place)
    return place


def _messages(
    error: ValidationError, document: Document, model: type[BaseModel], data: Mapping[str, Any], swept: frozenset[Place]
) -> str:
    found: dict[str, int] = {}
    for detail in error.errors(include_url=False):
        place: Place = tuple(part for part in detail["loc"] if part != "[key]")
        at = _written_at(document, place, swept)
        found[str(document.error(at, _short(_message(dict(detail), place, model), detail["input"])))] = (
            document.line_of(at)
        )
    lines = sorted(found, key=lambda message: found[message])
    if len(lines) > MAX_ERRORS:
        lines = [*lines[:MAX_ERRORS], f"… and {len(lines) - MAX_ERRORS} more."]
    return "\n".join(lines)


def _short(message: str, given: Any) -> str:
    """A message without the length of the value that it quotes."""
    text = str(given)
    return message.replace(text, shown(text)) if len(text) > MOST_QUOTED else message


def _message(detail: Mapping[str, Any], place: Place, model: type[BaseModel]) -> str:
    kind, context, given = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return _unknown_key(str(place[-1]), _keys_beside(model, place))
    if kind == "missing":
        return "is missing. " + ("Every scenario needs it." if len(place) == 1 else f"{place[-2]} needs it.")
    if kind == "literal_error":
        known = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        return f"{given!r} is not one of {', '.join(known)}.{_suggestion(str(given), known)}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{given!r} stands where keys belong. Write `key: value` lines below it."
    words = _KINDS.get(kind)
    if words:
        return f"{given!r} is {words.format(**context)}."
    return f"{given!r} does not fit: {detail['msg']}."


_KINDS = {
    "int_type": "no whole number",
    "int_parsing": "no whole number",
    "bool_type": "neither true nor false",
    "string_type": "no text. Put it in quotes",
    "string_too_short": "empty",
    "string_too_long": "longer than {max_length} characters",
    "greater_than_equal": "too small. It must be at least {ge}",
    "less_than_equal": "too large. It must be at most {le}",
    "less_than": "too large. It must be below {lt}",
}


def _unknown_key(key: str, known: list[str]) -> str:
    return f"unknown key.{_suggestion(key, known)} Known here: {', '.join(known)}."


def _suggestion(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""


def _keys_beside(model: type[BaseModel], place: Place) -> list[str]:
    """Keys that the model knows where ``place`` ends, read from its schema."""
    schema = model.model_json_schema(by_alias=True)
    node: Mapping[str, Any] = schema
    for part in place[:-1]:
        node = _resolved(schema, node)
        below = node.get("properties", {}).get(part, node.get("additionalProperties"))
        if not isinstance(below, dict):
            return []
        node = below
    return list(_resolved(schema, node).get("properties", {}))


def _resolved(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    for option in node.get("anyOf", ()):
        if "$ref" in option:
            node = option
    reference = node.get("$ref") or next((part["$ref"] for part in node.get("allOf", ()) if "$ref" in part), None)
    if reference is None:
        return node
    return _resolved(schema, schema["$defs"][reference.rsplit("/", 1)[1]])
