"""Great Expectations at work: tables in, findings out. Importing it takes seconds, so only who judges does."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from l2liq.errors import InputError
from l2liq.report.quality import Judged

SUITES = ("logs", "events", "activity", "prices", "ledger", "outcomes")
_PLACE = ("block_number", "log_index", "sequence")
_SHOWN = 3


class Severity(StrEnum):
    """What a failure means: critical blocks publishing, the others only report."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Cause(StrEnum):
    """Whether data does not meet an expectation, or the check itself failed, which says nothing about data."""

    DATA = "data"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation that was not met, or could not be checked.

    Attributes
    ----------
    suite, column, expectation : which
    batch : of what, in words
    detail : what was found, or how the check failed
    why : what is expected, in words
    """

    suite: str
    expectation: str
    column: str
    severity: Severity
    cause: Cause
    batch: str
    detail: str
    why: str

    def sentence(self) -> str:
        """For people."""
        if self.cause is Cause.CHECK:
            return f"{self.suite}, {self.batch}: the check of {self.column} itself failed ({self.detail})."
        return f"{self.suite}, {self.batch}: {self.column}: {self.detail}. Expected: {self.why}"


def packaged_suite(name: str) -> bytes:
    """A suite as it is installed."""
    return files("schemas.expectations").joinpath(f"{name}.json").read_bytes()


class Jury:
    """Suites and what they found so far.

    Parameters
    ----------
    suites : JSON by name (:data:`SUITES`)
    """

    def __init__(self, suites: Mapping[str, bytes]) -> None:
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        self._gx = gx
        self._context: Any = gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
        self._source = self._context.data_sources.add_pandas("lake")
        self._judged: list[tuple[str, str, int, int]] = []
        self._definitions = {name: self._definition(name, text) for name, text in suites.items()}

    def judge(self, name: str, table: pd.DataFrame, batch: str, **given: float) -> list[Finding]:
        """Findings of one suite about one table; ``given`` are the values that the suite leaves open."""
        place = [column for column in _PLACE if column in table.columns]
        outcome = self._definitions[name].run(
            batch_parameters={"dataframe": table},
            expectation_parameters=given,
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": place}
            if place
            else {"result_format": "SUMMARY"},
            run_id=self._gx.RunIdentifier(run_name=_in_address(batch)),
        )
        met = sum(bool(one.success) for one in outcome.results)
        self._judged.append((name, batch, met, len(outcome.results)))
        return [_finding(name, batch, one) for one in outcome.results if not one.success]

    def write_pages(self, folder: Path) -> list[Judged]:
        """Data Docs about everything that was judged; their pages, relative to ``folder``."""
        store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
        self._context.add_data_docs_site(
            site_name="lake",
            site_config={
                "class_name": "SiteBuilder", "show_how_to_buttons": False, "store_backend": store,
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            },
        )  # fmt: skip
        self._context.build_data_docs(site_names=["lake"])
        return [Judged(*one, _page_of(folder, one[0], one[1])) for one in self._judged]

    def _definition(self, name: str, text: bytes) -> Any:
        try:
            suite = self._context.suites.add(self._gx.ExpectationSuite(**json.loads(text)))
        except Exception as error:
            raise InputError(
                f"expectations/{name}.json: no suite of Great Expectations ({_first_line(error)}). Correct it, or "
                f"delete it to have the installed one."
            ) from error
        batches = self._source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("rows")
        return self._context.validation_definitions.add(
            self._gx.ValidationDefinition(name=name, data=batches, suite=suite)
        )


def _finding(suite: str, batch: str, one: Any) -> Finding:
    config = one.expectation_config
    failure = _exception_of(one.exception_info)
    return Finding(
        suite=suite,
        expectation=config.type.removeprefix("expect_column_values_to_").removeprefix("expect_"),
        column=str(config.kwargs.get("column", "the table")),
        severity=Severity(str(getattr(config.severity, "value", config.severity))),
        cause=Cause.DATA if failure is None else Cause.CHECK,
        batch=batch,
        detail=failure or _what(one.result),
        why=str(config.notes or config.kwargs),
    )


def _exception_of(info: Mapping[str, Any] | None) -> str | None:
    """What an expectation raised. There is one account of it, or one per metric."""
    accounts = [info or {}] if "raised_exception" in (info or {}) else list((info or {}).values())
    for one in accounts:
        if isinstance(one, Mapping) and one.get("raised_exception"):
            return _first_line(one.get("exception_message") or "no message")
    return None


def _what(result: Mapping[str, Any]) -> str:
    values = result.get("partial_unexpected_list") or []
    count, total = result.get("unexpected_count"), result.get("element_count")
    if count is None:
        return f"observed {result.get('observed_value')}"
    if total == 1 and values:
        return f"is {_plain(values[0])}"
    places = []
    for one in (result.get("partial_unexpected_index_list") or [])[:_SHOWN]:
        places.append(", ".join(f"{name.replace('_', ' ')} {one[name]:,}" for name in _PLACE if name in one))
    where = f" (first at {'; '.join(places)})" if places and places[0] else ""
    shown = ", ".join(_plain(value) for value in values[:_SHOWN])
    return f"{count:,} of {total:,} are not so, such as {shown}{where}"


def _plain(value: Any) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _page_of(folder: Path, suite: str, batch: str) -> str:
    page = next((folder / "validations" / suite / _in_address(batch)).rglob("*.html"))
    return page.relative_to(folder).as_posix()


def _in_address(batch: str) -> str:
    """A batch as part of a page's address."""
    return re.sub(r"[^a-z0-9]+", "-", batch.lower()).strip("-")


def _first_line(error: object) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
