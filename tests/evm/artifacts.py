"""The contracts of the harness by name: Aave 3.0.2 as published, Aave 3.6.0 and our own small ones as compiled here."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from tests.evm.paths import CORE_V3, ORIGIN, OWN_CONTRACTS, SOLC_07, UNISWAP, UNISWAP_PERIPHERY, require
from tests.evm.solc import Artifact, compiled, links_of

_ORIGIN_UNITS = (
    "instances/L2PoolInstance",
    "instances/PoolConfiguratorInstance",
    "instances/ATokenInstance",
    "instances/VariableDebtTokenInstance",
    "protocol/configuration/PoolAddressesProvider",
    "protocol/configuration/ACLManager",
    "misc/AaveOracle",
    "misc/PriceOracleSentinel",
    "misc/DefaultReserveInterestRateStrategyV2",
    "helpers/AaveProtocolDataProvider",
)


@cache
def own() -> dict[str, Artifact]:
    """Our tokens, feeds, batcher and reader."""
    return compiled({f"own/{path.name}": path for path in sorted(OWN_CONTRACTS.glob("*.sol"))})


@cache
def aave_302() -> dict[str, Artifact]:
    """Aave 3.0.2 as npm @aave/core-v3@1.19.3 publishes it."""
    artifacts = {}
    for file in sorted(require(CORE_V3 / "artifacts" / "contracts").rglob("*.json")):
        if not file.name.endswith(".dbg.json") and "mocks" not in file.parts and "interfaces" not in file.parts:
            artifacts[file.stem] = _published(file)
    return artifacts


@cache
def aave_360() -> dict[str, Artifact]:
    """Aave 3.6.0, compiled from npm @aave-dao/aave-v3-origin@3.6.0."""
    contracts = require(ORIGIN / "src" / "contracts")
    return compiled({f"aave/{unit}.sol": contracts / f"{unit}.sol" for unit in _ORIGIN_UNITS})


@cache
def uniswap_v3() -> Artifact:
    """The factory of Uniswap v3-core 1.0.1, which creates the pools, as npm @uniswap/v3-core@1.0.1 publishes it."""
    name = "UniswapV3Factory"
    return _published(require(UNISWAP / "artifacts" / "contracts" / f"{name}.sol" / f"{name}.json"))


@cache
def uniswap_means() -> Artifact:
    """Functions of npm @uniswap/v3-periphery@1.4.4's OracleLibrary and v3-core's TickMath, callable from outside."""
    require(UNISWAP_PERIPHERY)
    return compiled({"own/Means.sol": OWN_CONTRACTS / "solc-0.7" / "Means.sol"}, SOLC_07, "istanbul")["Means"]


def _published(file: Path) -> Artifact:
    raw = json.loads(file.read_text())
    return Artifact(raw["contractName"], raw["bytecode"][2:], links_of(raw["linkReferences"]))
