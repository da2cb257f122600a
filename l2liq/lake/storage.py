"""Where a lake lies: a folder, or a bucket of an object store. Everything that is no cache goes through this seam.

A key is a relative path with forward slashes. ``folder`` is always on this machine: the lake itself, or the copies that
this machine has of an object store's lake, with the caches that are made from them.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from l2liq.lake.locks import exclusive
from l2liq.lake.publish import (
    TEMPORARY,
    Check,
    Write,
    flush_folder,
    make_folder,
    naming_failures,
    publish,
    publish_bytes,
    sweep,
)
from l2liq.lake.staging import delete_staged, publish_staged

Stamp = tuple[int, int, int]
"""Something that changes whenever an object does (identity, time in ns), and its size in bytes."""


class Storage(Protocol):
    """One lake's files. What comes to exist does so entirely or not at all, whoever is killed when."""

    folder: Path
    name: str
    """As messages and reports name it."""

    def publish(self, key: str, write: Write, check: Check, *, once: bool = False) -> None:
        """Make ``key`` exist with what ``write`` puts into the path it is given, once ``check`` has read it back.

        ``once``: it must not be there yet. An object store decides that itself; in a folder the market's lock does.
        """

    def put(self, key: str, content: bytes) -> None:
        """Make ``key`` exist with this content, in place of what was there."""

    def publish_group(self, folder: str, fill: Write, last: str) -> bool:
        """Make a folder exist with all files that ``fill`` puts into the path it is given; it is there once its file
        ``last`` is. False where it was there already (then it is kept).
        """

    def delete_group(self, folder: str, last: str) -> None:
        """Delete a folder with everything in it, all at once: without its file ``last`` it is not there."""

    def is_empty(self) -> bool:
        """Whether nothing lies here but locks and leftovers."""

    def is_absent(self) -> bool:
        """Whether the place itself is not there."""

    def keys(self, folder: str) -> list[str]:
        """Keys directly in a folder, sorted; leftovers of unfinished work are not among them."""

    def below(self, folder: str) -> list[str]:
        """Keys in a folder and all that lie in it, sorted; leftovers are not among them."""

    def folders(self, folder: str) -> list[str]:
        """Names of the folders directly in a folder, sorted."""

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""

    def read(self, key: str) -> bytes:
        """An object's content. FileNotFoundError where there is none."""

    def stamp(self, key: str) -> Stamp:
        """What tells one content of a key from another. FileNotFoundError where there is none."""

    def open(self, key: str) -> pa.NativeFile:
        """Open an object for random reading."""

    def local(self, key: str) -> Path:
        """Where the object can be read on this machine; a path without a file where there is none."""

    def bring(self, keys: Collection[str]) -> None:
        """Have objects on this machine, so that reading them is quick."""

    def refresh(self, folders: Collection[str], *, last: str | None = None) -> None:
        """Have exactly what these folders hold under :attr:`folder`, for who reads it there by himself.

        ``last``: of the groups in them, only those that are there.
        """

    def move(self, key: str, target: str) -> None:
        """Give an object another key. Interrupted, it may have both, never none."""

    def remove(self, key: str) -> None:
        """Delete an object; one that is gone already is no error."""

    def sweep(self, folder: str) -> None:
        """Delete what unfinished work left in a folder. Only for who holds the folder's lock."""

    def exclusive(self, name: str, purpose: str, *, wait: bool = False) -> AbstractContextManager[None]:
        """Be the only one with the lock ``name``; LakeError naming who has it, unless ``wait``."""

    def sizes(self, folders: Collection[str]) -> dict[str, int]:
        """Bytes in each of these folders, caches of this machine included."""


class LocalStorage:
    """A folder on a file system with POSIX rename."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = str(folder)

    def publish(self, key: str, write: Write, check: Check, *, once: bool = False) -> None:
        publish(self.folder / key, write, check)

    def put(self, key: str, content: bytes) -> None:
        publish_bytes(self.folder / key, content)

    def publish_group(self, folder: str, fill: Write, last: str) -> bool:
        if (self.folder / folder / last).exists():
            return False
        return publish_staged(self.folder, self.folder / folder, fill)

    def delete_group(self, folder: str, last: str) -> None:
        delete_staged(self.folder, self.folder / folder)

    def is_empty(self) -> bool:
        with naming_failures(self.folder):
            return all(one.name == ".locks" or TEMPORARY in one.name for one in self.folder.iterdir())

    def is_absent(self) -> bool:
        return not self.folder.exists()

    def keys(self, folder: str) -> list[str]:
        place = self.folder / folder
        if not place.is_dir():
            return []
        with naming_failures(place):
            return sorted(f"{folder}/{entry.name}" for entry in os.scandir(place) if TEMPORARY not in entry.name)

    def below(self, folder: str) -> list[str]:
        found = (path for path in (self.folder / folder).rglob("*") if path.is_file() and TEMPORARY not in str(path))
        return sorted(path.relative_to(self.folder).as_posix() for path in found)

    def folders(self, folder: str) -> list[str]:
        place = self.folder / folder
        return sorted(entry.name for entry in place.iterdir() if entry.is_dir()) if place.is_dir() else []

    def exists(self, key: str) -> bool:
        with naming_failures(self.folder / key):
            return (self.folder / key).is_file()

    def read(self, key: str) -> bytes:
        return (self.folder / key).read_bytes()

    def stamp(self, key: str) -> Stamp:
        found = (self.folder / key).stat()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def open(self, key: str) -> pa.NativeFile:
        return pa.OSFile(str(self.folder / key))

    def local(self, key: str) -> Path:
        return self.folder / key

    def bring(self, keys: Collection[str]) -> None:
        return None

    def refresh(self, folders: Collection[str], *, last: str | None = None) -> None:
        return None

    def move(self, key: str, target: str) -> None:
        place = self.folder / target
        with naming_failures(place):
            make_folder(place.parent)
            (self.folder / key).rename(place)
            flush_folder(place.parent)
            flush_folder((self.folder / key).parent)

    def remove(self, key: str) -> None:
        (self.folder / key).unlink(missing_ok=True)

    def sweep(self, folder: str) -> None:
        sweep(self.folder / folder)

    @contextmanager
    def exclusive(self, name: str, purpose: str, *, wait: bool = False) -> Iterator[None]:
        with exclusive(self.folder / ".locks" / f"{name}.lock", purpose, wait=wait):
            yield

    def sizes(self, folders: Collection[str]) -> dict[str, int]:
        return {name: bytes_in(self.folder / name) for name in folders}


def bytes_in(folder: Path) -> int:
    """Size of the files in a folder on this machine [bytes]."""
    return sum(_size(path) for path in folder.rglob("*") if not path.is_symlink())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # replaced while the folder was listed
        return 0
