"""One writer for objects in a bucket: a small object that is written on conditions, and renewed while its holder lives.

The store decides who is first (``If-None-Match: *``, ``If-Match``), and its clock alone says how old a lease is. A
process that was killed loses it after :data:`LAST_S`; one that was suspended for so long is refused any further upload.
A store that ignores the conditions is found out at the first lease.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from l2liq.errors import LakeError, LockedError

LAST_S = 60.0
"""Seconds after which a lease that nobody renewed is anybody's."""

_WAIT_S = 0.5


class Lease:
    """The right to do one thing, as the object ``key``."""

    def __init__(self, client: Any, bucket: str, key: str, machine: str) -> None:
        self._client, self._bucket, self._key = client, bucket, key
        self._machine, self._token = machine, uuid.uuid4().hex
        self._etag = ""
        self._renewed = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, place: str, purpose: str, *, wait: bool) -> None:
        """Hold the lease. LakeError naming the holder where another has it, unless ``wait``.

        Only for who holds this machine's lock of the same name: a lease of the same machine is then of a dead process.
        """
        self._place = place
        while (holder := self._try()) is not None:
            if not wait:
                raise LockedError(
                    f"{place}: {purpose} is already being done by process {holder.get('pid')} on {holder.get('host')}. "
                    f"Wait for it to end, or end it; a lease that is not renewed lasts {LAST_S:.0f} s."
                )
            time.sleep(_WAIT_S)
        self._thread = threading.Thread(target=self._renew_until_stopped, name="lease", daemon=True)
        self._thread.start()

    def require(self) -> None:
        """LakeError where the lease may be another's by now."""
        if time.monotonic() - self._renewed > LAST_S * 0.9:
            raise LakeError(
                f"{self._place}: this process was held up for so long that another may write now. "
                f"Run the same command again."
            )

    def give_back(self) -> None:
        """Let others have it at once."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._put({"state": "free"}, {"IfMatch": self._etag}, quiet=True)

    def _try(self) -> Mapping[str, Any] | None:
        """Take it; who has it where that is not to be."""
        if self._put(self._claim(), {"IfNoneMatch": "*"}):
            self._require_conditions()
            return None
        held = self._read()
        if held is None:
            return {}
        holder, etag, age_s = held
        free = holder.get("state") != "held" or holder.get("machine") == self._machine or age_s > LAST_S
        if free and self._put(self._claim(), {"IfMatch": etag}):
            return None
        return holder

    def _require_conditions(self) -> None:
        if self._put(self._claim(), {"IfNoneMatch": "*"}):
            raise LakeError(
                f"{self._place}: this object store ignores conditions on uploads (If-None-Match), so nothing would "
                f"keep two writers apart. Use one that knows them, or ingest into a folder and copy that."
            )

    def _claim(self) -> dict[str, Any]:
        return {"state": "held", "pid": os.getpid(), "host": socket.gethostname(), "machine": self._machine,
                "token": self._token}  # fmt: skip

    def _put(self, content: Mapping[str, Any], condition: Mapping[str, str], *, quiet: bool = False) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        begun = time.monotonic()
        try:
            done = self._client.put_object(
                Bucket=self._bucket, Key=self._key, Body=json.dumps(content).encode(), **condition
            )
        except ClientError as error:
            if quiet or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in (404, 409, 412):
                return False
            raise
        except BotoCoreError:
            if quiet:
                return False
            raise
        self._etag, self._renewed = done["ETag"], begun
        return True

    def _read(self) -> tuple[Mapping[str, Any], str, float] | None:
        """Holder, ETag and age by the store's own clock."""
        from botocore.exceptions import ClientError

        try:
            found = self._client.get_object(Bucket=self._bucket, Key=self._key)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                return None
            raise
        now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        try:
            holder = json.loads(found["Body"].read())
        except ValueError:
            holder = {}
        return holder, found["ETag"], (now - found["LastModified"]).total_seconds()

    def _renew_until_stopped(self) -> None:
        while not self._stop.wait(LAST_S / 4):
            self._put({**self._claim(), "renewed": uuid.uuid4().hex}, {"IfMatch": self._etag}, quiet=True)
