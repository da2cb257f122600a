"""One file of logs, whatever its format, as a stream of tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from l2liq.chains.chain import Chain
from pipelines.sources.jsonfiles import json_tables, jsonl_tables
from pipelines.sources.opening import Format, detect
from pipelines.sources.tabular import csv_tables, parquet_tables


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of logs.

    Attributes
    ----------
    path : where it lies
    format : what it is; None = found out from its content
    chain : the chain that its logs must be of
    contract : who emitted the logs of a file that does not say, 20 bytes
    """

    path: Path
    format: Format | None
    chain: Chain
    contract: bytes | None = None

    @property
    def label(self) -> str:
        """What the lake calls this source."""
        return self.path.name

    def tables(self) -> Iterator[pa.Table]:
        """Its logs in the order of the file (schema UNTIMED_LOGS); memory does not grow with the file.

        Raises InputError naming the file and the line, log or row that cannot be read.
        """
        match self.format or detect(self.path):
            case Format.JSON:
                yield from json_tables(self.path)
            case Format.JSONL:
                yield from jsonl_tables(self.path, self.chain)
            case Format.CSV:
                yield from csv_tables(self.path, self.chain, self.contract)
            case Format.PARQUET:
                yield from parquet_tables(self.path, self.chain, self.contract)
