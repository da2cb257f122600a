"""``nightly.yaml``: which markets, where their logs come from, which scenarios, and when to raise an alarm."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from l2liq.chains.markets import Listing, find_market
from l2liq.errors import InputError, ScenarioError
from l2liq.metrics.catalogue import METRIC
from l2liq.scenario.document import Document, read_document

_VARIABLE = re.compile(r"\$([A-Z][A-Z0-9_]*)")
_MEASURES = ("model_false_accounts", "model_missed_accounts", "skipped_action_share", "skipped_value_share",
             "clipped_action_share", "clipped_value_share", "unfunded_action_share", "unfunded_value_share",
             "diverged_value_share", "ambiguous_transactions")  # fmt: skip


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _share(value: Any) -> Any:
    """``25%`` or a plain number."""
    text = str(value)
    try:
        return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise ValueError(f"{value!r} is no share. Write percent, as in 25%.") from None


Share = Annotated[float, BeforeValidator(_share), Field(ge=0)]


class Rule(_Strict):
    """When a night is an alarm: the value is ``above`` a level, or ``rise`` times the median of former nights.

    ``model_error`` and ``gross_error`` are shares of the metric in the actual or the control world, whichever is
    larger; ``validity`` is a measure of the alternative as it is. Nights on which the metric itself is below ``least``
    are too small to judge.
    """

    watch: Literal["model_error", "gross_error", "validity"]
    of: str
    above: Share | None = None
    rise: float | None = Field(default=None, gt=1)
    least: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        known = _MEASURES if self.watch == "validity" else tuple(METRIC)
        if self.of not in known:
            raise ValueError(f"{self.of} is nothing that {self.watch} can be of. Known: {', '.join(known)}.")
        if self.above is None and self.rise is None:
            raise ValueError("a rule needs `above` or `rise`, as in `above: 25%`.")
        return self


RULES = (
    Rule(watch="model_error", of="liquidated_accounts", above=0.25, rise=3, least=10),
    Rule(watch="gross_error", of="debt_repaid_usd", above=1.0, rise=3, least=10_000),
    Rule(watch="model_error", of="bad_debt_usd", above=0.5, rise=3, least=10_000),
    Rule(watch="validity", of="skipped_value_share", above=0.1, rise=5),
    Rule(watch="validity", of="diverged_value_share", above=0.5),
)
"""The rules where ``nightly.yaml`` gives none."""


class Alarms(_Strict):
    """``command`` is run with the new alerts as JSON on its input, without a shell."""

    rules: tuple[Rule, ...] = RULES
    command: tuple[str, ...] = ()


class Watching(_Strict):
    """After each ingest: accounts within ``within`` of liquidation, and what each price falling by ``fall`` does."""

    within: Share = 0.05
    fall: Share = 0.1


class Fed(_Strict):
    """One market.

    ``rpc`` is an address, or ``$NAME`` for one that stands in the environment, where secrets belong; a market without
    one is filled by something else (a stream, by hand). ``scenarios`` is a folder.
    """

    market: str
    rpc: str | None = None
    scenarios: Path
    days: int | None = Field(default=None, ge=1, le=3_650)


class _File(_Strict):
    lake: Path | None = None
    until: Literal["yesterday", "coverage"] = "yesterday"
    days: int = Field(default=7, ge=1, le=3_650)
    history: int = Field(default=30, ge=2, le=1_000)
    keep: int = Field(default=90, ge=1)
    markets: tuple[Fed, ...] = Field(min_length=1)
    alerts: Alarms = Alarms()
    watch: Watching | None = None


class Nightly(BaseModel):
    """A nightly file whose paths are resolved.

    Attributes
    ----------
    until : the night where none is asked for: ``yesterday`` by the clock, or the last complete day that the lake has
    days : length of moving windows [complete UTC days]
    history : nights that a new one stands beside
    keep : nights whose runs retention keeps, per series
    """

    model_config = ConfigDict(frozen=True)

    lake: Path
    until: Literal["yesterday", "coverage"]
    days: int
    history: int
    keep: int
    markets: tuple[Fed, ...]
    alerts: Alarms
    watch: Watching | None

    def fed(self, name: str) -> Fed:
        """The entry of a market, by its name or as the file writes it."""
        found = [one for one in self.markets if name in (one.market, listing_of(one).deployment.name)]
        if not found:
            known = ", ".join(listing_of(one).deployment.name for one in self.markets)
            raise InputError(f"{name}: no market of the nightly file. It has {known}.")
        return found[0]


def load_nightly(path: Path, lake: Path | None = None) -> Nightly:
    """Read a nightly file; ``lake`` goes before the one that the file names.

    Raises InputError or ScenarioError with line and remedy.
    """
    try:
        document = read_document(path.read_text(encoding="utf-8"), path.name)
        content = _File.model_validate(document.data)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Give a nightly YAML file.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not text in UTF-8. Give a nightly YAML file.") from None
    except ValidationError as error:
        raise _in_words(document, error) from None
    folder = path.absolute().parent
    markets = tuple(
        one.model_copy(update={"market": _beside(folder, one.market), "scenarios": folder / one.scenarios})
        for one in content.markets
    )
    chosen = lake or (_lake(folder, content.lake) if content.lake is not None else Path("lake"))
    rest = content.model_copy(update={"lake": chosen, "markets": markets})
    found = Nightly.model_construct(**{name: getattr(rest, name) for name in _File.model_fields})
    _refuse_twins(found, path)
    return found


def listing_of(fed: Fed) -> Listing:
    """The market's listing."""
    return find_market(fed.market)


def address_of(fed: Fed) -> str | None:
    """The node's address, read from the environment where the file says so; None where the market has no node."""
    named = _VARIABLE.fullmatch(fed.rpc or "")
    if named is None:
        return fed.rpc
    found = os.environ.get(named[1])
    if not found:
        raise InputError(f"{fed.market}: its node's address is to stand in the environment as {named[1]}. Set it.")
    return found


def _lake(folder: Path, lake: Path) -> Path:
    """A folder is meant from the nightly file; an object store is where it is."""
    return lake if str(lake).startswith("s3:") else folder / lake


def _beside(folder: Path, market: str) -> str:
    return str(folder / market) if market.endswith((".yaml", ".yml")) else market


def _refuse_twins(nightly: Nightly, path: Path) -> None:
    slugs = [listing_of(one).deployment.slug for one in nightly.markets]
    for slug in slugs:
        if slugs.count(slug) > 1:
            raise InputError(f"{path}: {slug} stands there twice. Give one market one entry.")


def _in_words(document: Document, error: ValidationError) -> ScenarioError:
    first = error.errors(include_url=False)[0]
    place = tuple(part for part in first["loc"] if isinstance(part, str | int))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "unknown key. Known are those in README, `Operating it`."
    return document.error(place, message)
