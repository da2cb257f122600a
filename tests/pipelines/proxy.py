"""A proxy before a real node that misbehaves as it is told to: what public nodes do on their bad days."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Request = dict[str, Any]


class Hang(Exception):
    """Do not answer for a while."""


class Drop(Exception):
    """Close the connection without an answer."""


@dataclass
class Status(Exception):
    """Answer with an HTTP status."""

    code: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Raw(Exception):
    """Answer with these bytes."""

    body: bytes


@dataclass
class Refuse(Exception):
    """Answer with a JSON-RPC error."""

    code: int
    message: str


Temper = Callable[[Request, Callable[[], Any]], Any]
"""Given a request and a way to get the node's own result: the result to give, or one of the exceptions above."""


@dataclass
class Proxy:
    """A running proxy. ``requests`` counts what came, by method; ``temper`` may be changed at any time."""

    url: str
    temper: Temper
    requests: dict[str, int] = field(default_factory=dict)
    most_at_once: int = 0


def honest(request: Request, ask: Callable[[], Any]) -> Any:
    return ask()


@contextmanager
def proxied(node_url: str, temper: Temper = honest) -> Iterator[Proxy]:
    """A proxy on the loopback interface for the time of the block."""
    lock, under_way = threading.Lock(), 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # a reply is two writes: the second would wait for a delayed acknowledgement

        def do_POST(self) -> None:
            nonlocal under_way
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                under_way += 1
                proxy.most_at_once = max(proxy.most_at_once, under_way)
            try:
                answer = [one(request) for request in body] if isinstance(body, list) else one(body)
                self.reply(200, json.dumps(answer).encode())
            except Hang:
                time.sleep(4)
                self.close_connection = True
            except Drop:
                self.close_connection = True
            except Status as status:
                self.reply(status.code, b"no", status.headers)
            except Raw as raw:
                self.reply(200, raw.body)
            finally:
                with lock:
                    under_way -= 1

        def reply(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(code)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    def one(request: Request) -> dict[str, Any]:
        with lock:
            proxy.requests[request["method"]] = proxy.requests.get(request["method"], 0) + 1
        frame = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            return frame | {"result": proxy.temper(request, lambda: asked(node_url, request))}
        except Refuse as refusal:
            return frame | {"error": {"code": refusal.code, "message": refusal.message}}

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{server.server_port}/v3/SECRET-KEY?token=SECRET-TOKEN", temper)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asked(url: str, request: Request) -> Any:
    """The node's own result; its errors become :class:`Refuse`."""
    body = json.dumps(request).encode()
    http = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(http, timeout=60) as response:
        answer = json.loads(response.read())
    if "error" in answer:
        raise Refuse(answer["error"]["code"], answer["error"]["message"])
    return answer["result"]
