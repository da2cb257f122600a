"""An S3 server for the tests: moto, in a process of its own, over real HTTP."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config

KEY, SECRET = "tests", "not-a-secret-but-never-shown"


@dataclass(frozen=True)
class Server:
    """A running server."""

    endpoint: str

    def environment(self, copies: Path) -> dict[str, str]:
        """What a process needs to use it, with its own folder for copies."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "L2LIQ_CACHE": str(copies),
        }

    def client(self) -> Any:
        """A client that is not the lake's."""
        session = botocore.session.get_session()
        session.set_credentials(KEY, SECRET)
        config = Config(s3={"addressing_style": "path"})
        return session.create_client("s3", region_name="us-east-1", endpoint_url=self.endpoint, config=config)

    def bucket(self) -> str:
        """A fresh bucket."""
        name = f"lake-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return name

    def objects(self, bucket: str, prefix: str = "") -> dict[str, str]:
        """Keys and ETags."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {one["Key"]: one["ETag"] for page in pages for one in page.get("Contents", ())}


@contextmanager
def running_server() -> Iterator[Server]:
    """A server until the end of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "the S3 server ended"
            time.sleep(0.1)
        yield Server(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait()


class Relay:
    """Stands between a client and the server, byte by byte.

    Parameters
    ----------
    change : what becomes of each piece that the client sends
    """

    def __init__(self, server: Server, change: Callable[[bytes], bytes] = bytes) -> None:
        host, port = server.endpoint.removeprefix("http://").split(":")
        self._target, self._change = (host, int(port)), change
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.server = Server(f"http://127.0.0.1:{self._listener.getsockname()[1]}")
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            upstream = socket.create_connection(self._target)
            for pair in ((client, upstream, True), (upstream, client, False)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 14):
                sink.sendall(self._change(piece) if from_client else piece)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
                one.close()
