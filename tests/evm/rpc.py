"""A small JSON-RPC client on one kept-alive connection: the harness asks tens of thousands of small questions."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Sequence
from typing import Any

_BATCH = 500
_HEADERS = {"Content-Type": "application/json"}


class RpcError(RuntimeError):
    """The node answered with an error.

    Attributes
    ----------
    data : what a call reverted with, as hex with prefix; empty where it said nothing
    """

    def __init__(self, text: str, data: str = "") -> None:
        super().__init__(text)
        self.data = data


class Rpc:
    """One connection to a node on the loopback interface."""

    def __init__(self, port: int, timeout_s: float = 120.0) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def call(self, method: str, *params: Any) -> Any:
        """The result of one request.

        Raises
        ------
        RpcError
            The node answered with an error.
        """
        answer = self._post({"jsonrpc": "2.0", "id": 0, "method": method, "params": params})
        return _result(method, answer)

    def batch(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The results of many independent requests, in their order."""
        results: list[Any] = []
        for start in range(0, len(requests), _BATCH):
            part = requests[start : start + _BATCH]
            body = [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                for number, (method, params) in enumerate(part)
            ]
            answers = sorted(self._post(body), key=lambda answer: int(answer["id"]))
            results += [_result(method, answer) for (method, _), answer in zip(part, answers, strict=True)]
        return results

    def _post(self, body: Any) -> Any:
        if self._connection.sock is None:
            self._connection.connect()
            opened: Any = self._connection.sock
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.request("POST", "/", json.dumps(body), _HEADERS)
        return json.loads(self._connection.getresponse().read())


def _result(method: str, answer: dict[str, Any]) -> Any:
    if "error" in answer:
        error = answer["error"]
        data = str(error.get("data") or "")
        raise RpcError(f"{method}: {error.get('message')} {data}".strip(), data)
    return answer["result"]
