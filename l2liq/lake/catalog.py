"""The catalog: views and macros over the Parquet files, as one DuckDB file that anybody can open (DESIGN §7).

The SQL stands in :mod:`schemas.sql`. In ``catalog.duckdb`` its paths are relative to the lake; a session of
:mod:`l2liq.lake.queries` has the same views with absolute ones.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from l2liq.errors import LakeError
from l2liq.lake.caches import SCHEMA_FILE, schema_of
from l2liq.lake.datasets import DATASETS
from l2liq.lake.locks import exclusive
from l2liq.lake.markets import TABLES
from l2liq.lake.publish import publish, publish_bytes, sweep
from l2liq.lake.segments import SCHEMA_FOLDER, write_parquet
from l2liq.outcome.schema import ACCOUNTS, METRICS, OUTCOMES

_GROUPS = ("macros", "chain", "market", "runs")
_VIEW = re.compile(r'\b(CREATE VIEW|COMMENT ON VIEW) "?(\w+)"?')
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


def write_empty_files(lake: Path) -> None:
    """Put a file without rows beside each dataset, so that no glob of a view is ever empty."""
    schemas: dict[str, pa.Schema] = {}
    for dataset in DATASETS:
        schemas[f"{dataset.name}/{SCHEMA_FOLDER}/empty"] = dataset.schema
        schemas[f"tail/{dataset.name}/{SCHEMA_FOLDER}/empty"] = dataset.schema
    for name, schema in TABLES.items():
        schemas[f"cache/markets/{SCHEMA_FOLDER}/current/{name}"] = schema
    for name, schema in {"outcomes": OUTCOMES, "accounts": ACCOUNTS, "metrics": METRICS}.items():
        schemas[f"runs/{SCHEMA_FOLDER}/{name}"] = schema
    for place, schema in schemas.items():
        target = lake / f"{place}.parquet"
        known = schema_of(target)
        if known is None or not known.equals(schema):
            empty = schema.empty_table()
            publish(target, lambda path, rows=empty: write_parquet(rows, path))  # type: ignore[misc]
    manifest = lake / "runs" / SCHEMA_FOLDER / "manifest.json"
    if not manifest.exists():
        publish_bytes(manifest, b"{}")


def rebuild(lake: Path) -> Path:
    """Write ``catalog.duckdb`` anew and swap it in. Rebuilds wait for each other; readers keep what they have open."""
    target = lake / "catalog.duckdb"
    with exclusive(lake / ".locks" / "catalog.lock", "rebuilding the catalog", wait=True):
        sweep(lake, target.name)
        write_empty_files(lake)
        publish(target, lambda path: _build(lake, path))
    return target


def _build(lake: Path, path: Path) -> None:
    """One connection writes, checkpoints and lets go, so that no write-ahead log stays beside the file.

    It works in a folder for temporary files and reaches the lake through a link there: to DuckDB a question mark in
    the path of a database and a comma in a search path are syntax.
    """
    with TemporaryDirectory() as folder:
        link, built = Path(folder) / "lake", Path(folder) / "catalog.duckdb"
        link.symlink_to(lake.resolve())
        _fill(link, built)
        shutil.copyfile(built, path)


def _fill(lake: Path, path: Path) -> None:
    with duckdb.connect(config=_SETTINGS) as connection:
        connection.execute(f"ATTACH {quoted(str(path))} AS catalog (STORAGE_VERSION 'v1.0.0')")
        connection.execute(f"SET file_search_path = {quoted(str(lake))}")
        connection.execute("USE catalog")
        create_views(connection, "", lake)
        _comment(connection)
        connection.execute("USE memory")
        connection.execute("CHECKPOINT catalog")
        connection.execute("DETACH catalog")
    duckdb.connect(str(path), read_only=True, config=_SETTINGS).close()


def create_views(connection: duckdb.DuckDBPyConnection, prefix: str, lake: Path) -> dict[str, str]:
    """Create all macros and views; ``prefix`` goes before the paths: empty, or a folder with a slash at its end.

    A view whose files are missing or damaged is left out, so that the others can be queried. Returns those, and why.
    """
    statements = [statement for name in _GROUPS for statement in _statements(name, prefix)]
    for protocol, event in event_folders(lake):
        name = f"{protocol}_{event}".replace("-", "_")
        statements += _statements("event", prefix, view=name, protocol=protocol, event=event)
    left_out: dict[str, str] = {}
    for statement in statements:
        view = _VIEW.search(statement)
        if view is not None and view[2] in left_out:  # a comment on what is not there
            continue
        try:
            connection.execute(statement)
        except duckdb.Error as error:
            if view is None:
                raise LakeError(
                    f"{lake}: a macro cannot be made ({_cause(error, lake)}). Install l2liq again."
                ) from error
            left_out[view[2]] = _cause(error, lake)
    return left_out


def _cause(error: duckdb.Error, lake: Path) -> str:
    """The first line of an error, paths in it as the user knows them."""
    return str(error).splitlines()[0].replace(f"{lake.resolve()}/", f"{lake}/")


def _statements(name: str, prefix: str, **names: str) -> list[str]:
    text = files("schemas.sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")
    filled = Template(text.replace("$lake/", "${lake}")).substitute(lake=globbed(prefix), **names)
    return [one.query for one in duckdb.extract_statements(filled)]


def event_folders(lake: Path) -> Iterator[tuple[str, str]]:
    """Protocol and event of every folder of decoded events."""
    for schema in sorted((lake / "cache" / "events").glob(f"*/*/{SCHEMA_FILE}")):
        yield schema.parent.parent.name, schema.parent.name


def _comment(connection: duckdb.DuckDBPyConnection) -> None:
    words = tomllib.loads(files("schemas.sql").joinpath("columns.toml").read_text(encoding="utf-8"))
    columns = connection.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = 'catalog'"
    ).fetchall()
    for view, column, kind in columns:
        fitting = [ending for ending in words["endings"] if column.endswith(ending)]
        text = words["names"].get(column) or (
            words["endings"][max(fitting, key=len)] if fitting else words["types"].get(kind.partition("(")[0])
        )
        if text:
            connection.execute(f'COMMENT ON COLUMN "{view}"."{column.replace(chr(34), chr(34) * 2)}" IS {quoted(text)}')


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def globbed(prefix: str) -> str:
    """A path inside a SQL string literal in which no character is a wildcard."""
    if any(ord(character) < 32 for character in prefix):
        raise LakeError(f"{prefix!r}: a lake's path cannot hold control characters. Choose another folder.")
    escaped = "".join(f"[{character}]" if character in "*?[" else character for character in prefix)
    return escaped.replace("'", "''")
