"""What a node means when it does not answer: ask for less, ask later, or give up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from l2liq.errors import SourceError
from pipelines.sources.secrets import without_secrets


class TooMuchError(SourceError):
    """The question covers too many blocks, results, bytes or addresses: half of it may be answered."""


class BusyError(SourceError):
    """The node did not answer this time: the same question may be answered later."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class SlowError(BusyError):
    """No answer in time: perhaps the question is too heavy."""


class UnavailableError(SourceError):
    """The node lacks what is asked for: an old state, a method."""


class RefusedError(SourceError):
    """The node refused, in words that say none of the above."""


class RevertedError(SourceError):
    """The contract called reverted."""


_BUSY = re.compile(
    r"rate.?limit|too many requests|request(s)? (rate|count|limit)|capacity|throttl|try again|temporar|overload|"
    r"timed? ?out(?!.*(range|result))|internal error|service unavailable|header not found.*retry|compute units|credits",
    re.IGNORECASE,
)
_TOO_MUCH = re.compile(
    r"(more than|exceed|limit|max|too (many|large|wide|big|much|high)|greater than|larger|only|up to|restrict|smaller)"
    r".{0,60}?(range|result|logs|block|size|address|topic|response|bytes)"
    r"|(range|result|logs|blocks|size|address(es)?|response|query)\b.{0,60}?"
    r"(more than|exceed|limit|max|too (many|large|wide|big|much|high)|greater than|larger|timeout|timed out)",
    re.IGNORECASE,
)
_NO_STATE = re.compile(
    r"missing trie node|historical state|state (is )?(not available|unavailable|already discarded|pruned)|"
    r"archive|pruned|distance to target block|no state available|header not found|unknown block|block not found|"
    r"block ?out ?of ?range",
    re.IGNORECASE,
)
_REVERT = re.compile(r"revert|invalid opcode|out of gas|bad instruction|execution error|stack underflow", re.IGNORECASE)
_METHOD = re.compile(
    r"method .*(not (found|supported|available|exist|whitelisted|allowed)|does not exist)|unsupported method", re.I
)

_METHOD_NOT_FOUND, _REVERTED, _LIMIT = -32601, 3, -32005


def refusal(label: str, method: str, error: Any) -> SourceError:
    """The exception for the ``error`` object of a JSON-RPC answer.

    Nodes agree on hardly any code: the message decides, the code where it is the standard's own.
    """
    content = error if isinstance(error, Mapping) else {"message": str(error)}
    code, message = content.get("code"), str(content.get("message", ""))[:300]
    shown = f"{label}: {method} was refused: {without_secrets(message)[:160]}"
    if code == _METHOD_NOT_FOUND or _METHOD.search(message):
        return UnavailableError(f"{shown}. Use a node that offers it.")
    if method == "eth_call" and (code == _REVERTED or _REVERT.search(message)):
        return RevertedError(f"{shown}.")
    if _NO_STATE.search(message):
        return UnavailableError(f"{shown}. Use a node that keeps old state (an archive node).")
    if method == "eth_getLogs" and _TOO_MUCH.search(message) and not _plainly_busy(message):
        return TooMuchError(f"{shown}.")
    if _BUSY.search(message) or code in (_LIMIT, 429, -32603):
        return BusyError(f"{shown}. The node is overloaded; try later, or lower --rate and --concurrency.")
    return RefusedError(f"{shown}. Check the node, or use another one.")


def http_refusal(label: str, method: str, status: int, retry_after: str | None) -> SourceError:
    """The exception for an HTTP status other than 200."""
    shown = f"{label}: HTTP status {status} to {method}"
    if status in (401, 403):
        return SourceError(f"{shown}. The node wants a key, or the key in the address is wrong.")
    if status == 413:
        return TooMuchError(f"{shown}.")
    if status == 429 or status >= 500:
        wait_s = float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
        return BusyError(f"{shown}. The node is overloaded; try later, or lower --rate and --concurrency.", wait_s)
    return SourceError(f"{shown}. Check the address: it must be that of a JSON-RPC node.")


def _plainly_busy(message: str) -> bool:
    return (
        re.search(r"requests? (per|rate)|rate.?limit|too many requests|compute units|credits", message, re.I)
        is not None
    )
