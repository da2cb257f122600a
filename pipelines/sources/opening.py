"""Files of logs: opening them (gzip or not) and telling their format by what is in them, not by their name."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast

from l2liq.errors import InputError, SourceError

_PEEK_BYTES = 1 << 16
_RESPONSE = re.compile(rb'^\s*\{[^\[\{]*"result"\s*:\s*\[')


class Format(StrEnum):
    """What a file of logs may be."""

    JSON = "json"
    """What eth_getLogs returned: an array of logs, or the whole JSON-RPC response."""
    JSONL = "jsonl"
    """A JSON object per line: a receipt, something that holds one under ``receipt``, or a log."""
    CSV = "csv"
    """Columns of ethereum-etl's logs, or block_number … topics, data with topics as a list."""
    PARQUET = "parquet"
    """Columns of cryo's logs, or of l2liq's own."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The content of a file, unpacked if it is gzip.

    Raises
    ------
    InputError
        There is no such file, or it is cut short (found out while reading).
    SourceError
        The file system does not give it.
    """
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            yield cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=plain), 1 << 20)) if packed else plain
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise InputError(f"{path}: the gzip file is cut short or damaged. Copy it again from where it came.") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder, not a file. Name the files in it, e.g. {path}/*.parquet.") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}.") from error


def detect(path: Path) -> Format:
    """The format of a file, from its first bytes. InputError where it is none of them."""
    with opened(path) as file:
        start = file.read(_PEEK_BYTES)
    if not start.strip():
        raise InputError(f"{path}: the file is empty. Export the logs again.")
    if start[:4] == b"PAR1":
        return Format.PARQUET
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"[" or _RESPONSE.match(text):
        return Format.JSON
    if text[:1] == b"{":
        return Format.JSONL
    header = text.split(b"\n", 1)[0]
    if b"," in header and re.fullmatch(rb'[\w",. \r-]+', header):
        return Format.CSV
    names = ", ".join(Format)
    raise InputError(
        f"{path}: not a file of logs. Readable are {names} (also as gzip); --format says which if it is one of them."
    )
