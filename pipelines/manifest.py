"""The manifest of a run: everything it was made from and how far it carries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MANIFEST_VERSION = 4


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Version(_Part):
    """What computed the run. Runs of different code are not comparable."""

    package: str = Field(description="Version of the package l2liq.")
    code: str = Field(description="Hash of its source files, 16 hex digits.")

    def __str__(self) -> str:
        return f"{self.package}+{self.code}"


class RunWindow(_Part):
    """The blocks [from_block, to_block) and their times."""

    from_block: int
    to_block: int
    from_s: int
    to_s: int


class AssetName(_Part):
    """An asset of the market; `symbol` is the chain's own, untrusted text."""

    address: str
    symbol: str
    decimals: int


class EffectOfMetric(_Part):
    """One metric in the three worlds; null where a world has none."""

    metric: str
    actual: float | None
    control: float | None
    alternative: float | None
    effect: float | None = Field(description="alternative - control")
    model_error: float | None = Field(description="control - actual")
    gross_error: float | None = Field(description="Sum over accounts of abs(control - actual); null for no such sum.")
    low: float | None = Field(description="Lower end of the 95 % interval of the effect.")
    high: float | None = Field(description="Upper end of the 95 % interval of the effect.")
    within_error: bool


class Counts(_Part):
    """What happened to recorded user actions in one world."""

    candidates: int
    diverged: int
    actions: int
    actions_usd: float
    rejected: int
    rejected_usd: float
    clipped: int
    clipped_usd: float
    unfunded: int
    unfunded_usd: float
    ambiguous: int
    exogenous_usd: float
    tests: int
    moved: int = 0
    lost: int = 0


class DistanceOfModes(_Part):
    """The alternative world with recorded and with re-executed interest over the same stretch."""

    from_s: int
    to_s: int
    transactions: int = Field(description="Re-executed.")
    of: int = Field(description="Transactions of the window.")
    disagreeing: int = Field(description="Transactions that the rules do not bring to the recorded rates and amounts.")
    metrics: dict[str, tuple[float, float]] = Field(description="Metric to its value recorded, re-executed.")


class RoundsOfFeedback(_Part):
    """How the alternative came to rest where its oracles follow its liquidators' sales."""

    rounds: int = Field(description="Replays.")
    final_until_s: int | None = Field(description="It came to rest up to here; null = everywhere.")
    moving_usd: float = Field(description="Debt repaid that the last replay still put elsewhere, account by account.")


class NullTestOfData(_Part):
    """How much of what the data's own logs repeat the rebuilt market gives: less than all means wrong balances."""

    compared: int
    equal: int
    recorded: int = Field(description="Liquidations in the logs.")
    reproduced: int = Field(description="Those that come out in every number when repeated.")


class ClockSpan(_Part):
    """How far the later clocks of the rollup run behind, in [from_s, until_s)."""

    from_s: int
    until_s: int | None
    publication_s: int = Field(description="From execution until the batch is on L1.")
    l1_finality_s: int = Field(description="From publication until L1 is final.")
    settlement_s: int = Field(description="From publication until the state is accepted on L1.")
    source: str


class LiquidatorOfRun(_Part):
    """A liquidator that the scenario's worlds know by name."""

    address: str
    name: str


class Manifest(_Part):
    """A published run."""

    manifest_version: int = MANIFEST_VERSION
    run_id: str
    series_id: str
    created_at: str = Field(description="UTC, ISO 8601.")
    seconds: dict[str, float] = Field(description="Time taken, by stage [s].")
    version: Version
    title: str
    description: str
    market: str
    protocol: str
    chain_id: int
    explorer: str | None = Field(description="Transaction URL with {hash} in it.")
    scenario: dict[str, Any] = Field(description="The effective scenario, every default in it.")
    window: RunWindow
    roots: dict[str, str] = Field(description="Root of the data read, by market.")
    tables: dict[str, str] = Field(description="Root of each table of the run.")
    changes: list[str] = Field(description="The change in words.")
    change_s: int | None = Field(description="When it takes effect; null = before the window, or no change.")
    not_deployable: list[str]
    assets: list[AssetName]
    effects: list[EffectOfMetric]
    policies: dict[str, dict[str, float]] = Field(description="Metric to policy to the alternative's value.")
    variants: dict[str, dict[str, dict[str, float]]] = Field(
        default={}, description="Model to its other setting to metric to the alternative's value under it."
    )
    validity: dict[str, float | None]
    distance: DistanceOfModes | None
    worlds: dict[str, Counts]
    changed_itself: list[str] = Field(description="Accounts that the change itself made liquidatable.")
    excluded: list[str] = Field(description="Accounts that left control and alternative.")
    ticks: int
    account_ticks: int
    heartbeat_s: int
    sequencer_down_s: list[tuple[int, int]]
    clocks: list[ClockSpan] = Field(description="Of the window; none where the chain has no such clocks.")
    liquidators: list[LiquidatorOfRun] = Field(
        default=[], description="Who competes in control and alternative; none where one liquidator is alone."
    )
    assumptions: list[str]
    notes: list[str]
    null_test: NullTestOfData | None = Field(None, description="Null when the market was not rebuilt from logs.")
    feedback: RoundsOfFeedback | None = Field(None, description="Null where oracles do not follow sales.")


def manifest_schema() -> dict[str, Any]:
    """JSON Schema of manifests."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Manifest.model_json_schema()}


@cache
def this_version() -> Version:
    """The version of the code that runs: a change of any source file makes another one."""
    digest = hashlib.sha256()
    for package in ("l2liq", "pipelines", "schemas"):
        _add(digest, package, files(package))
    return Version(package=version("l2liq"), code=digest.hexdigest()[:16])


_SOURCES = (".py", ".json", ".yaml")


def _add(digest: Any, name: str, place: Traversable) -> None:
    for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
        path = f"{name}/{entry.name}"
        if entry.is_dir():
            if entry.name not in ("__pycache__", "sample", "report", "cli", "nightly"):
                _add(digest, path, entry)
        elif entry.name.endswith(_SOURCES):
            content = entry.read_bytes()
            digest.update(f"{path}\0{len(content)}\0".encode() + content)


def hexed(addresses: Iterable[bytes]) -> list[str]:
    """Addresses as 0x text."""
    return [f"0x{address.hex()}" for address in addresses]
