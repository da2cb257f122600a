"""The JSON Schema of scenarios, for editors and other programs."""

from __future__ import annotations

from typing import Any

from l2liq.protocols.levers import Levers
from l2liq.scenario.model import scenario_model

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def scenario_schema(protocol: str, levers: Levers) -> dict[str, Any]:
    """Schema of the scenarios of one protocol; what only the market can tell (names, coverage) it cannot check."""
    schema = scenario_model(levers).model_json_schema(by_alias=True)
    schema["properties"]["sweep"] = {
        "type": "object",
        "description": "Repeats keys of the scenario with a list of values each, or with {from, to, step}.",
    }
    window, liquidator = (schema["properties"][key] for key in ("window", "liquidator"))
    window["anyOf"] = [{"const": "all"}, {"$ref": window.pop("$ref")}]
    liquidator["anyOf"] = [{"enum": ["immediate", "latency"]}, {"$ref": liquidator.pop("$ref")}]
    return {"$schema": _DIALECT, **schema, "title": f"Scenario for {protocol}"}
