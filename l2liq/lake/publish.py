"""How a file comes to exist: entirely or not at all.

A name appears only by renaming something complete, flushed and read back. Whatever an exception or a killed process
leaves carries ``.tmp-`` in its name, matches no glob of the catalog, and is swept by the next writer of the same place.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from l2liq.errors import LakeError

TEMPORARY = ".tmp-"

Write = Callable[[Path], None]
Check = Callable[[Path], None]


def publish(target: Path, write: Write, check: Check | None = None) -> None:
    """Write a file beside ``target``, flush it, read it back, rename it, flush the folder.

    A device or a pipe is written to as it is: there is nothing beside it, and renaming would take its place.
    Raises LakeError where the file system refuses (full, read-only, size limit); ``target`` is then as it was.
    """
    temporary = beside(target)
    with naming_failures(target):
        if target.exists() and not (target.is_file() or target.is_dir()):
            write(target)
            return
        make_folder(target.parent)
        try:
            write(temporary)
            flush_file(temporary)
            if check is not None:
                check(temporary)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        flush_folder(target.parent)


def publish_bytes(target: Path, content: bytes) -> None:
    """Publish ``content`` as one file."""
    publish(target, lambda path: _write_bytes(path, content))


def publish_folder(target: Path, fill: Write, staging: Path) -> bool:
    """Make a folder exist with all of its files at once; False where ``target`` was there already (then it is kept).

    ``staging`` is a folder of the same file system outside all globs.
    """
    temporary = staging / f"{target.name}{TEMPORARY}{uuid.uuid4().hex[:12]}"
    with naming_failures(target):
        make_folder(target.parent)
        make_folder(temporary)
        try:
            fill(temporary)
            for path in sorted(temporary.iterdir()):
                flush_file(path)
            flush_folder(temporary)
            temporary.rename(target)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        flush_folder(target.parent)
    return True


def beside(target: Path) -> Path:
    """A fresh temporary name in the folder of ``target`` that no glob for its suffix matches."""
    return target.with_name(f"{target.name}{TEMPORARY}{uuid.uuid4().hex[:12]}")


def sweep(folder: Path, name: str = "") -> None:
    """Delete leftovers directly in ``folder``, of files whose name begins with ``name``."""
    if not folder.is_dir():
        return
    with naming_failures(folder):
        for entry in os.scandir(folder):
            if entry.name.startswith(name) and TEMPORARY in entry.name:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, each flushed into the one above."""
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for place in reversed(missing):
        if not place.is_dir():
            place.mkdir(exist_ok=True)
            flush_folder(place.parent)


def flush_file(path: Path) -> None:
    """Bring a file's content to the disk."""
    _flush(path, os.O_RDONLY)


def flush_folder(path: Path) -> None:
    """Bring a folder's entries to the disk."""
    _flush(path, os.O_RDONLY | os.O_DIRECTORY)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_bytes(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)


REMEDIES = {
    errno.ENOSPC: "the disk is full. Free space and run the same command again: what was sealed before stays",
    errno.EDQUOT: "the disk quota is used up. Free space and run the same command again: what was sealed before stays",
    errno.EFBIG: "the file would exceed the file size limit. Raise it (`ulimit -f`) and run the same command again",
    errno.EROFS: "the file system is read-only. Choose another lake with --lake",
    errno.EACCES: "permission denied. Give yourself write access or choose another lake with --lake",
    errno.EPERM: "permission denied. Give yourself write access or choose another lake with --lake",
    errno.EEXIST: "a file is where the folder should be. Choose another lake with --lake",
    errno.ENOTDIR: "part of the path is a file. Choose another lake with --lake",
}


@contextmanager
def naming_failures(place: Path) -> Iterator[None]:
    """Turn what the file system refuses into a LakeError with place, cause and remedy."""
    try:
        yield
    except OSError as error:
        cause = REMEDIES.get(
            error.errno or 0, f"{error.strerror or error}. Check the disk and run the same command again"
        )
        raise LakeError(f"{place}: {cause}.") from error
