"""Why a contract reverted, in the words that l2liq uses: read from the data that came back.

Aave 3.0.2 reverts with the number of a constant of its ``Errors`` library, 3.6.0 with a custom error of the same
library; names are read from the sources. Beside these there are only reverts without a reason of the Pool's own:

- Panic 0x11, an uint256 that would become negative or too large. Where an aToken's underlying or a virtual balance
  would become negative, l2liq calls it NO_LIQUIDITY, elsewhere ARITHMETIC; the contracts make no difference.
- Panic 0x12, and no data at all from the assembly of WadRayMath and PercentageMath: a division by zero, or a product
  that is too large. ARITHMETIC.
- SafeCast's refusal of an amount too large for its storage. ARITHMETIC.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from l2liq.protocols.aave_v3.reasons import ARITHMETIC, NO_LIQUIDITY
from tests.evm import abi
from tests.evm.market import Version
from tests.evm.paths import CORE_V3, ORIGIN, require

_ERROR_STRING = abi.selector("Error(string)")
_PANIC = abi.selector("Panic(uint256)")
_CAST = abi.selector("SafeCastOverflowedUintDowncast(uint8,uint256)")
_OVERFLOW, _DIVISION = 0x11, 0x12


def reasons(version: Version, data: bytes) -> frozenset[str]:
    """What l2liq may call a revert with this data: one name, two where the contracts do not tell things apart."""
    if not data or data[:4] == _CAST:
        return frozenset({ARITHMETIC})
    if data[:4] == _PANIC:
        code = abi.words(data[4:])[0]
        assert code in (_OVERFLOW, _DIVISION), f"panic {code:#x}"
        return frozenset({ARITHMETIC, NO_LIQUIDITY} if code == _OVERFLOW else {ARITHMETIC})
    if data[:4] == _ERROR_STRING:
        text = str(abi.decode_values("(string)", data[4:])[0])
        return frozenset({ARITHMETIC if text.startswith("SafeCast:") else _names(version)[text]})
    return frozenset({_names(version)[data[:4].hex()]})


@cache
def _names(version: Version) -> dict[str, str]:
    """Names by number (3.0.2), or by selector (3.6.0)."""
    if version is Version.V302:
        text = _source(CORE_V3 / "contracts")
        return {number: name for name, number in re.findall(r"constant (\w+) = '(\d+)';", text)}
    errors = re.findall(r"error (\w+)\(([^)]*)\);", _source(ORIGIN / "src" / "contracts"))
    return {abi.selector(f"{name}({_types(arguments)})").hex(): name for name, arguments in errors}


def _source(contracts: Path) -> str:
    return require(contracts / "protocol" / "libraries" / "helpers" / "Errors.sol").read_text()


def _types(arguments: str) -> str:
    return ",".join(argument.split()[0] for argument in arguments.split(",") if argument.strip())
