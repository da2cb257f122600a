"""What ``--lake`` names: a folder, or ``s3://bucket/prefix``."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from l2liq.errors import InputError
from l2liq.lake.storage import LocalStorage, Storage

_OBJECTS = re.compile(r"s3:(/+|$)(?P<bucket>[^/]*)(?P<prefix>/.*)?", re.DOTALL)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()=+-]+(/[A-Za-z0-9!_.*'()=+-]+)*")


def storage_at(place: Path) -> Storage:
    """The storage of a lake.

    A path cannot hold two slashes in a row, so ``Path("s3://bucket/lake")`` is ``s3:/bucket/lake``: both mean the same.
    """
    named = _OBJECTS.fullmatch(str(place))
    if named is None:
        return LocalStorage(place)
    bucket, prefix = named["bucket"], (named["prefix"] or "").strip("/")
    if not _BUCKET.fullmatch(bucket) or (prefix and not _PREFIX.fullmatch(prefix)) or ".." in prefix.split("/"):
        raise InputError(
            f"s3://{bucket[:80]}/{prefix[:80]}: cannot name a lake. Write s3://bucket/prefix, without keys or options; "
            f"they come from the environment."
        )
    from l2liq.lake.storage_s3 import ObjectStorage

    return ObjectStorage(bucket, prefix, _copies(bucket, prefix))


def _copies(bucket: str, prefix: str) -> Path:
    """Folder on this machine for copies of a lake; another endpoint is another lake."""
    home = os.environ.get("L2LIQ_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "l2liq"
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    identity = hashlib.sha256("\0".join((endpoint, bucket, prefix)).encode()).hexdigest()[:12]
    return Path(home).absolute() / f"{bucket}-{identity}"
