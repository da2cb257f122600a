"""A lake in a bucket of an object store that speaks the S3 protocol.

There is no rename, so an object appears by one upload of a file that is complete and checked on this machine: a PUT
with length and SHA-256, which the store refuses as a whole if a byte is missing. It is then read back. What must not be
overwritten is uploaded on the condition that nothing is there. Everything read is copied to this machine once; a copy
is good as long as the store gives the same ETag.

Uploads go through botocore, because Arrow publishes whatever reached it when a stream is closed by an exception, and
knows no conditions. Reading goes through Arrow's file system.
"""

from __future__ import annotations

import base64
import filecmp
import hashlib
import os
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from l2liq.errors import LakeError
from l2liq.lake.leases import Lease
from l2liq.lake.locks import exclusive
from l2liq.lake.publish import TEMPORARY, Check, Write, beside, make_folder, naming_failures, sweep
from l2liq.lake.storage import Stamp, bytes_in

MOST_BYTES = 5 * 10**9
"""Of one upload; a cell is about a day of one market, far below."""

AT_A_TIME = 16
_TRIES = 5


class ObjectStorage:
    """A prefix of a bucket. ``folder`` holds this machine's copies, and caches, which are not shared."""

    def __init__(self, bucket: str, prefix: str, folder: Path) -> None:
        self.folder = folder
        self.name = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._known: dict[str, Stamp] = {}
        self._leases: list[Lease] = []
        self._client, self._files = _connected(self.name)
        with naming_failures(folder):
            make_folder(folder)

    def publish(self, key: str, write: Write, check: Check, *, once: bool = False) -> None:
        with self._scratch() as scratch, naming_failures(self.folder / key):
            path = scratch / Path(key).name
            write(path)
            check(path)
            self._upload(path, key, once=once)
            self._read_back(path, key)
        check(self.folder / key)

    def put(self, key: str, content: bytes) -> None:
        with self._scratch() as scratch, naming_failures(self.folder / key):
            path = scratch / Path(key).name
            path.write_bytes(content)
            self._upload(path, key)
            self._read_back(path, key)

    def publish_group(self, folder: str, fill: Write, last: str) -> bool:
        if self.exists(f"{folder}/{last}"):
            return False
        with self._scratch() as scratch, naming_failures(self.folder / folder):
            fill(scratch)
            files = sorted(path for path in scratch.rglob("*") if path.is_file())
            for path in sorted(files, key=lambda one: one.relative_to(scratch).as_posix() == last):
                name = path.relative_to(scratch).as_posix()
                try:
                    self._upload(path, f"{folder}/{name}", once=name == last)
                except _TakenError:
                    return False
                self._read_back(path, f"{folder}/{name}")
        return True

    def delete_group(self, folder: str, last: str) -> None:
        self.remove(f"{folder}/{last}")
        for key in self.below(folder):
            self.remove(key)
        shutil.rmtree(self.folder / folder, ignore_errors=True)

    def is_empty(self) -> bool:
        return not any(key for key in self._listed("") if not key.startswith(".locks/"))

    def is_absent(self) -> bool:
        return self.is_empty()

    def keys(self, folder: str) -> list[str]:
        return sorted(key for key in self._listed(f"{folder}/") if "/" not in key[len(folder) + 1 :])

    def below(self, folder: str) -> list[str]:
        return sorted(self._listed(f"{folder}/"))

    def folders(self, folder: str) -> list[str]:
        start = f"{self._prefix}{folder}/"
        found = [
            one["Prefix"].removeprefix(start).rstrip("/")
            for page in self._pages(start, Delimiter="/")
            for one in page.get("CommonPrefixes", ())
        ]
        return sorted(found)

    def exists(self, key: str) -> bool:
        try:
            self._head(key)
        except FileNotFoundError:
            return False
        return True

    def read(self, key: str) -> bytes:
        self._head(key)
        return self._copy(key).read_bytes()

    def stamp(self, key: str) -> Stamp:
        return self._known.get(key) or self._head(key)

    def open(self, key: str) -> pa.NativeFile:
        return pa.OSFile(str(self._copy(key)))

    def local(self, key: str) -> Path:
        try:
            self._head(key)
            return self._copy(key)
        except FileNotFoundError:
            (self.folder / key).unlink(missing_ok=True)
            return self.folder / key

    def bring(self, keys: Collection[str]) -> None:
        lacking = [key for key in keys if not self._is_current(key)]
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            for _ in pool.map(self._copy_if_there, lacking):
                pass

    def refresh(self, folders: Collection[str], *, last: str | None = None) -> None:
        for folder in folders:
            held = set(self._listed(f"{folder}/"))
            if last is not None:
                held = {key for key in held if f"{key.rpartition('/')[0]}/{last}" in held}
            self.bring(held)
            for path in list((self.folder / folder).rglob("*")):
                key = path.relative_to(self.folder).as_posix()
                if path.is_file() and key not in held and "/_schema/" not in key:
                    path.unlink(missing_ok=True)

    def move(self, key: str, target: str) -> None:
        self._guard()
        with self._naming(key):
            source = {"Bucket": self._bucket, "Key": self._prefix + key}
            self._client.copy_object(Bucket=self._bucket, Key=self._prefix + target, CopySource=source)
        self.remove(key)

    def remove(self, key: str) -> None:
        self._guard()
        with self._naming(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)
        self._known.pop(key, None)
        (self.folder / key).unlink(missing_ok=True)

    def sweep(self, folder: str) -> None:
        """Nothing half-written is ever in a bucket; on this machine, copies that were cut short are."""
        sweep(self.folder / folder)

    @contextmanager
    def exclusive(self, name: str, purpose: str, *, wait: bool = False) -> Iterator[None]:
        """A lock of this machine and a lease in the bucket: whoever holds it is lost at most a minute after its end."""
        with exclusive(self.folder / ".locks" / f"{name}.lock", purpose, wait=wait):
            lease = Lease(self._client, self._bucket, f"{self._prefix}.locks/{name}.json", self._machine())
            with self._naming(f".locks/{name}.json"):
                lease.take(f"{self.name}/.locks/{name}.json", purpose, wait=wait)
            self._leases.append(lease)
            try:
                yield
            finally:
                self._leases.remove(lease)
                lease.give_back()

    def sizes(self, folders: Collection[str]) -> dict[str, int]:
        found = {}
        for name in folders:
            listed = self._listed(f"{name}/")
            found[name] = sum(stamp[2] for stamp in listed.values()) if listed else bytes_in(self.folder / name)
        return found

    # --- objects -----------------------------------------------------------------------------------------------------

    def _upload(self, path: Path, key: str, *, once: bool = False) -> None:
        """One PUT of a complete file. LakeError where ``once`` and something else is there."""
        self._guard()
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise LakeError(f"{self.name}/{key}: {size:,} bytes do not fit into one upload. Use smaller cells.")
        condition = {"IfNoneMatch": "*"} if once else {}
        for attempt in range(_TRIES):
            try:
                with path.open("rb") as body, self._naming(key):
                    self._client.put_object(
                        Bucket=self._bucket, Key=self._prefix + key, Body=body, ContentLength=size,
                        ChecksumSHA256=base64.b64encode(_digest(path)).decode(), **condition,
                    )  # fmt: skip
                break
            except _TakenError:
                self._known.pop(key, None)
                if filecmp.cmp(path, self.local(key), shallow=False):  # an upload that was repeated, or the same rows
                    break
                raise
            except _ConflictError:
                if attempt == _TRIES - 1:
                    raise
        self._known.pop(key, None)

    def _read_back(self, path: Path, key: str) -> None:
        self._head(key)
        if not filecmp.cmp(path, self._copy(key), shallow=False):
            self._known.pop(key, None)
            raise LakeError(
                f"{self.name}/{key}: what was uploaded reads back differently. Run the same command again; if it "
                f"stays so, another process writes here, or the store is not to be trusted."
            )

    def _listed(self, start: str) -> Mapping[str, Stamp]:
        """Keys that begin with ``start``; what is learned of them is remembered."""
        found: dict[str, Stamp] = {}
        for page in self._pages(self._prefix + start):
            for one in page.get("Contents", ()):
                found[one["Key"].removeprefix(self._prefix)] = _stamp(one, one["Size"])
        for key in [known for known in self._known if known.startswith(start) and known not in found]:
            del self._known[key]
        self._known.update(found)
        return found

    def _pages(self, start: str, **more: str) -> Iterator[Mapping[str, Any]]:
        with self._naming(start):
            yield from self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=start, **more)

    def _head(self, key: str) -> Stamp:
        with self._naming(key):
            found = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        self._known[key] = _stamp(found, found["ContentLength"])
        return self._known[key]

    # --- copies on this machine --------------------------------------------------------------------------------------

    def _copy_if_there(self, key: str) -> None:
        try:
            self._copy(key)
        except FileNotFoundError:  # gone since it was listed
            self._known.pop(key, None)

    def _copy(self, key: str) -> Path:
        """The copy of an object, as it was last listed, on this machine."""
        target, stamp = self.folder / key, self.stamp(key)
        if self._is_current(key):
            return target
        temporary, mark = beside(target), beside(self._mark(key))
        try:
            with naming_failures(target):
                make_folder(target.parent)
                make_folder(self._mark(key).parent)
            self._download(key, temporary)
            with naming_failures(target):
                mark.write_text(str(stamp))
                self._mark(key).unlink(missing_ok=True)  # never beside content that is not its own
                temporary.replace(target)
                mark.replace(self._mark(key))
        finally:
            temporary.unlink(missing_ok=True)
            mark.unlink(missing_ok=True)
        return target

    def _download(self, key: str, target: Path) -> None:
        place = f"{self._bucket}/{self._prefix}{key}"
        try:
            with self._files.open_input_stream(place) as stream, target.open("xb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise LakeError(f"{self.name}/{key}: {_first_line(error)}. Check the network and the rights.") from None

    def _is_current(self, key: str) -> bool:
        known = self._known.get(key)
        try:
            return known is not None and self._mark(key).read_text() == str(known) and (self.folder / key).is_file()
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _mark(self, key: str) -> Path:
        return self.folder / ".stamps" / key

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        place = self.folder / ".uploads"
        make_folder(place)
        with TemporaryDirectory(dir=place, prefix=TEMPORARY) as scratch:
            yield Path(scratch)

    def _machine(self) -> str:
        """What tells this folder of copies from any other, in leases."""
        mark = self.folder / ".machine"
        if not mark.exists():
            temporary = beside(mark)
            temporary.write_text(uuid.uuid4().hex)
            temporary.replace(mark)
        return mark.read_text()

    # --- failures ----------------------------------------------------------------------------------------------------

    def _guard(self) -> None:
        for lease in self._leases:
            lease.require()

    @contextmanager
    def _naming(self, key: str) -> Iterator[None]:
        """What the store or the network refuses as FileNotFoundError or LakeError, without keys and signatures."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if code == "NoSuchBucket":
                raise LakeError(f"{self.name}: there is no such bucket. Make it first, or correct --lake.") from None
            if status == 404:
                raise FileNotFoundError(f"{self.name}/{key}") from None
            if status == 412:
                raise _TakenError(
                    f"{self.name}/{key}: another process wrote it meanwhile. Run the same command again."
                ) from None
            if status == 409:
                raise _ConflictError(
                    f"{self.name}/{key}: written by two at once. Run the same command again."
                ) from None
            remedy = "Check the rights of the credentials" if status in (401, 403) else "Run the same command again"
            raise LakeError(f"{self.name}/{key}: the object store refuses ({code or status}). {remedy}.") from None
        except BotoCoreError as error:
            raise LakeError(
                f"{self.name}: the object store cannot be used ({type(error).__name__}). Check the network, "
                f"AWS_ENDPOINT_URL and the credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)."
            ) from None


class _TakenError(LakeError):
    """The condition of an upload does not hold: something is there."""


class _ConflictError(LakeError):
    """Another conditional upload of the same key is under way."""


def _stamp(found: Mapping[str, Any], size: int) -> Stamp:
    identity = int.from_bytes(hashlib.sha256(found["ETag"].encode()).digest()[:8], "big")
    return identity, int(found["LastModified"].timestamp()) * 10**9, int(size)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


@cache
def _models() -> Any:
    """What botocore knows of the service, some hundred kilobytes of JSON, read once."""
    from botocore.loaders import create_loader

    return create_loader()


def _connected(name: str) -> tuple[Any, Any]:
    """Botocore's client and Arrow's file system, both as the environment says (keys, profile or role; endpoint)."""
    try:
        import botocore.session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise LakeError(f"{name}: object stores need the extra `s3`. Install `l2liq[s3]`.") from None
    from pyarrow.fs import S3FileSystem

    session = botocore.session.get_session()
    session.register_component("data_loader", _models())
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = session.get_config_variable("region") or "us-east-1"
    style = {"addressing_style": "path"} if endpoint else {}
    config = Config(s3=style, retries={"mode": "standard", "total_max_attempts": 5}, max_pool_connections=AT_A_TIME)
    try:
        client = session.create_client("s3", region_name=region, endpoint_url=endpoint, config=config)
        more = {}
        if endpoint:
            scheme, _, host = endpoint.rstrip("/").partition("://")
            more = {"scheme": scheme, "endpoint_override": host}
        return client, S3FileSystem(region=region, **more)
    except (BotoCoreError, ValueError, OSError, pa.ArrowException) as error:
        raise LakeError(
            f"{name}: the object store cannot be used ({type(error).__name__}). Check AWS_ENDPOINT_URL and AWS_REGION."
        ) from None
