"""What calls look like: functions of a contract, loaded from the ABI files of the ``schemas`` package, and calldata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

SELECTOR_BYTES = 4


@dataclass(frozen=True, slots=True)
class FunctionAbi:
    """One function of a contract.

    Attributes
    ----------
    types : canonical types of the arguments
    signature : name and types, as hashed
    selector : first four bytes of keccak-256 of ``signature``
    """

    name: str
    types: tuple[str, ...]
    signature: str
    selector: bytes

    def arguments(self, data: bytes) -> tuple[Any, ...] | None:
        """Arguments in calldata of this function; None where it does not hold them. Addresses come as bytes."""
        try:
            values = decode(self.types, data[SELECTOR_BYTES:], strict=False)
        except (DecodingError, OverflowError, ValueError):
            return None
        return tuple(_plain(kind, value) for kind, value in zip(self.types, values, strict=True))


@cache
def contract_functions(contract: str) -> Mapping[bytes, FunctionAbi]:
    """Functions of one ABI file, such as ``aave_v3/pool_functions``, by selector."""
    text = files("schemas").joinpath(*f"{contract}.json".split("/")).read_text(encoding="utf-8")
    found = [_function(entry) for entry in json.loads(text) if entry["type"] == "function"]
    return {function.selector: function for function in found}


def _function(entry: Mapping[str, Any]) -> FunctionAbi:
    types = tuple(argument["type"] for argument in entry["inputs"])
    signature = f"{entry['name']}({','.join(types)})"
    return FunctionAbi(entry["name"], types, signature, bytes(keccak(text=signature))[:SELECTOR_BYTES])


def _plain(kind: str, value: Any) -> Any:
    """Addresses as bytes, which eth-abi writes as text."""
    if kind == "address":
        return bytes.fromhex(value[2:])
    return tuple(_plain("address", one) for one in value) if kind == "address[]" else value
