"""Alerts: what a nightly run's error or validity must not do unseen, and what did not run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import structlog

from l2liq.lake import Lake
from l2liq.metrics.catalogue import METRIC
from l2liq.report import words
from l2liq.scenario.identity import canonical_json
from pipelines.nightly.config import Alarms, Rule
from pipelines.nightly.history import Journal, Night, Series, breaks, now

log = structlog.get_logger()

FEWEST_FORMER = 5
"""Nights that a median needs."""
COMMAND_PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should look at.

    Attributes
    ----------
    kind : ``model_error``, ``gross_error``, ``validity``, ``failed``, ``not_run`` or ``task``
    subject : scenario, series or task that it is about
    words : the whole sentence
    since : when it was first raised; ``told``: the command has had it
    """

    kind: str
    market: str
    subject: str
    night: str | None
    words: str
    run_id: str | None = None
    of: str | None = None
    value: float | None = None
    limit: float | None = None
    since: str = ""
    told: bool = False

    @property
    def key(self) -> str:
        """What makes two alerts the same one, on whichever night."""
        return canonical_json([self.kind, self.market, self.subject, self.of])


def alerts_of(journals: Mapping[str, Journal], alarms: Alarms, history: int) -> list[Alert]:
    """Alerts of the last night of each market."""
    found: list[Alert] = []
    for journal in journals.values():
        found += _unrun(journal)
        for series_id, series in journal.series.items():
            if series.nights and series.nights[-1].night == journal.night:
                for rule in alarms.rules:
                    alert = _judged(rule, journal.market, series_id, series, history)
                    found += [alert] if alert is not None else []
    return found


def _unrun(journal: Journal) -> Iterable[Alert]:
    night = str(journal.night)
    for one in journal.results:
        if one.state in ("failed", "not_run"):
            verb = "failed" if one.state == "failed" else "not run"
            text = f"{journal.market}, {one.title}, night of {night}: {verb}: {one.reason}"
            yield Alert(one.state, journal.market, f"{one.file}: {one.title}", night, text)


def _judged(rule: Rule, market: str, series_id: str, series: Series, history: int) -> Alert | None:
    tonight = series.nights[-1]
    value = value_of(rule, tonight)
    if value is None or _size(rule, tonight) < rule.least:
        return None
    limit, why = rule.above, "the limit"
    if limit is None or value <= limit:
        usual = _usual(rule, series.nights, history)
        if rule.rise is None or usual is None or value <= usual * rule.rise:
            return None
        limit, why = usual * rule.rise, f"{rule.rise:g} times the median of former nights"
    text = (
        f"{market}, {series.title}, night of {tonight.night}: {_subject(rule)} is {_shown(rule, value)}, "
        f"above {_shown(rule, limit)}, {why}"
    )
    night = str(tonight.night)
    return Alert(rule.watch, market, series_id, night, text, tonight.run_id, rule.of, value, limit)


def value_of(rule: Rule, night: Night) -> float | None:
    """What a rule looks at; None where the run does not have it."""
    if rule.watch == "validity":
        return night.validity.get(rule.of)
    error = night.metrics.get(rule.of, {}).get(rule.watch)
    size = _size(rule, night)
    return None if error is None else abs(error) / size if size else 0.0


def _size(rule: Rule, night: Night) -> float:
    """The metric in the actual or the control world, whichever is larger."""
    if rule.watch == "validity":
        return float("inf")
    metric = night.metrics.get(rule.of, {})
    return max(abs(metric.get(world) or 0.0) for world in ("actual", "control"))


def _usual(rule: Rule, nights: Sequence[Night], history: int) -> float | None:
    """Median of the nights before the last, back to the last break of the series; None where they are too few."""
    broken = breaks(nights)
    since = max(broken, default=None)
    former = [one for one in nights[:-1] if since is None or one.night >= since][-history:]
    values = [value for one in former if _size(rule, one) >= rule.least and (value := value_of(rule, one)) is not None]
    usual = median(values) if len(values) >= FEWEST_FORMER else None
    return usual if usual else None


def _subject(rule: Rule) -> str:
    if rule.watch == "validity":
        return rule.of.replace("_", " ")
    what = "model error" if rule.watch == "model_error" else "model error account by account"
    return f"{what} of {METRIC[rule.of].label.lower()}"


def _shown(rule: Rule, value: float) -> str:
    return words.share(value) if rule.watch != "validity" or rule.of.endswith("share") else words.factor(value)


def standing(found: Sequence[Alert], former: Mapping[str, Any]) -> list[Alert]:
    """Alerts with the time since which they stand, those of tasks kept until they are cleared."""
    known = {alert.key: alert for alert in read(former)}
    made: list[Alert] = []
    for alert in found:
        old = known.get(alert.key)
        since, told = (old.since, old.told) if old is not None else (now(), False)
        made.append(Alert(**{**asdict(alert), "since": since, "told": told}))
    return [*made, *(alert for alert in known.values() if alert.kind == "task")]


def raise_alerts(lake: Lake, found: Sequence[Alert], alarms: Alarms) -> list[Alert]:
    """Write ``alerts.json``, log what is new and give it to the command. Only for who is publishing."""
    made = standing(found, lake.nights().alerts())
    return _told(lake, made, alarms)


def task_failed(lake: Lake, alarms: Alarms, market: str, task: str, error: str) -> None:
    """Raise the alert of a task that gave up; it stands until the task succeeds."""
    alert = Alert("task", market, task, None, f"{task} of {market or 'all markets'} gave up: {error}", since=now())
    with lake.nights().publishing():
        others = [one for one in read(lake.nights().alerts()) if one.key != alert.key]
        _told(lake, [*others, alert], alarms)


def task_succeeded(lake: Lake, market: str, task: str) -> None:
    """Clear the alert of a task."""
    key = Alert("task", market, task, None, "").key
    with lake.nights().publishing():
        found = read(lake.nights().alerts())
        if any(one.key == key for one in found):
            write(lake, [one for one in found if one.key != key])


def read(content: Mapping[str, Any]) -> list[Alert]:
    """The alerts of an ``alerts.json``."""
    return [Alert(**one) for one in content.get("alerts", [])]


def write(lake: Lake, found: Sequence[Alert]) -> None:
    """Put the alerts in place of the former ones."""
    lake.nights().write_alerts({"made_at": now(), "alerts": [asdict(one) for one in found]})


def _told(lake: Lake, found: Sequence[Alert], alarms: Alarms) -> list[Alert]:
    """Written before they are told, so that no alert waits for a command; one that failed is told again next time."""
    write(lake, found)
    new = [one for one in found if not one.told]
    for one in new:
        log.warning("alert", **{name: value for name, value in asdict(one).items() if value not in (None, "")})
    if not new or not _commanded(alarms.command, new):
        return list(found)
    done = [Alert(**{**asdict(one), "told": True}) for one in found]
    write(lake, done)
    return done


def _commanded(command: Sequence[str], new: Sequence[Alert]) -> bool:
    """Give alerts to the command; True where it took them or there is none."""
    if not command:
        return True
    content = json.dumps([asdict(one) for one in new])
    try:
        subprocess.run(command, input=content, text=True, check=True, timeout=COMMAND_PATIENCE_S)
    except (OSError, subprocess.SubprocessError) as error:
        log.error("alert_command_failed", command=command[0], error=str(error))
        return False
    return True
