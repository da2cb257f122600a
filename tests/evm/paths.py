"""Where the harness finds what npm installed and where it keeps what it compiled."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NODE_MODULES = HERE / "node_modules"
CACHE = HERE / ".cache"
OWN_CONTRACTS = HERE / "contracts"

CORE_V3 = NODE_MODULES / "@aave" / "core-v3"
"""Aave 3.0.2: artifacts with bytecode."""

ORIGIN = NODE_MODULES / "@aave-dao" / "aave-v3-origin"
"""Aave 3.6.0: sources."""

UNISWAP = NODE_MODULES / "@uniswap" / "v3-core"
"""Uniswap v3-core: artifacts with bytecode."""

UNISWAP_PERIPHERY = NODE_MODULES / "@uniswap" / "v3-periphery"
"""Uniswap v3-periphery: sources, for a compiler of its time."""

SOLC, SOLC_07 = NODE_MODULES / "solc", NODE_MODULES / "solc-0.7"

INSTALL = "Install them with `npm ci --ignore-scripts` in tests/evm (Node.js 18 or later; `make test` does it)."

_PLATFORMS = {"linux": "linux", "darwin": "darwin"}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class HarnessError(RuntimeError):
    """The harness itself cannot work: something is not installed, does not compile or does not start."""


def require(path: Path) -> Path:
    """``path``, or an error that tells how to install what belongs there."""
    if not path.exists():
        raise HarnessError(f"{path.relative_to(HERE)} is missing: the contracts and the node come from npm. {INSTALL}")
    return path


def anvil_binary() -> Path:
    """The native node of this platform; npm's wrapper script is avoided so that the process we stop is the node."""
    system, machine = _PLATFORMS.get(sys.platform), _MACHINES.get(platform.machine().lower())
    if system is None or machine is None:
        raise HarnessError(
            f"npm has no anvil for {sys.platform}/{platform.machine()}; run the truth tests on Linux or macOS"
        )
    return require(NODE_MODULES / "@foundry-rs" / f"anvil-{system}-{machine}" / "bin" / "anvil")
