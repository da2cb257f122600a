"""``l2liq scenario``: what a scenario means, how two differ, and the schema of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.backtest import OptionalMarket, ScenarioArgument
from pipelines.cli.options import DEFAULT_LAKE, JsonOption, UnusedLakeOption

topic = typer.Typer(no_args_is_help=True, help="Show, compare and describe scenarios.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(topic, name="scenario")


@topic.command(epilog="Example: `l2liq scenario show scenarios/weth-lt-minus-2pp.yaml`")
def show(
    scenario: ScenarioArgument,
    market: OptionalMarket = None,
    as_json: JsonOption = False,
    lake: UnusedLakeOption = DEFAULT_LAKE,
) -> None:
    """Print the full effective scenario, every default in it; one per combination of a sweep."""
    from pipelines.scenarios import effective_of

    found = effective_of(scenario, market, lake)
    if as_json:
        typer.echo(json.dumps(found[0] if len(found) == 1 else found, indent=2, ensure_ascii=False))
        return
    typer.echo("---\n".join(_yaml(one) for one in found), nl=False)


@topic.command(epilog="Example: `l2liq scenario diff before.yaml after.yaml`")
def diff(
    one: ScenarioArgument,
    other: Annotated[Path, typer.Argument(metavar="OTHER.yaml", help="The scenario to compare with.")],
    market: OptionalMarket = None,
    as_json: JsonOption = False,
    lake: UnusedLakeOption = DEFAULT_LAKE,
) -> None:
    """Print where two scenarios differ, defaults included. Exit code 1 if they do."""
    from l2liq.errors import InputError
    from l2liq.scenario.identity import differences
    from pipelines.scenarios import effective_of

    sides = [effective_of(path, market, lake) for path in (one, other)]
    if any(len(side) > 1 for side in sides):
        raise InputError("a scenario with a sweep is many scenarios. Compare two without `sweep:`.")
    found = differences(sides[0][0], sides[1][0])
    if as_json:
        typer.echo(json.dumps([dict(zip(("key", "one", "other"), line, strict=True)) for line in found], indent=2))
    else:
        for key, before, after in found:
            typer.echo(f"{key}: {_word(before)} → {_word(after)}")
        if not found:
            typer.echo("The scenarios are the same.")
    raise typer.Exit(1 if found else 0)


@topic.command(epilog="Example: `l2liq scenario schema > scenario.schema.json`")
def schema(
    protocol: Annotated[str, typer.Option(help="Protocol whose parameters a scenario changes.")] = "aave-v3",
    lake: UnusedLakeOption = DEFAULT_LAKE,
) -> None:
    """Print the JSON Schema of scenarios, for editors and other programs."""
    from l2liq.protocols import protocol as find_protocol
    from l2liq.scenario.schema import scenario_schema

    typer.echo(json.dumps(scenario_schema(protocol, find_protocol(protocol).levers), indent=2, ensure_ascii=False))


def _word(value: Any) -> str:
    return "(not there)" if value is None else str(value)


def _yaml(data: dict[str, Any]) -> str:
    from io import StringIO

    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    out = StringIO()
    yaml.dump(data, out)
    return out.getvalue()
