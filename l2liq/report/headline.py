"""The report's first sentences: the effect, the model's error on the same window, and what to be careful about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from l2liq.report import words
from l2liq.report.bundle import Comparison, RunBundle
from l2liq.report.reading import INCLUDES_ZERO, WITHIN_ERROR, seen_first, verdict

ACCOUNTS = "liquidated_accounts"
BAD_DEBT = "bad_debt_usd"
DEBT_REPAID = "debt_repaid_usd"
_NOUNS = {BAD_DEBT: "bad debt", DEBT_REPAID: "debt repaid"}
SKIPPED = "skipped_value_share"
MUCH_LEFT = 0.1
"""Share of all value in accounts that left history from which on the headline speaks of it."""


@dataclass(frozen=True, slots=True)
class Headline:
    """``effect`` and ``error`` are whole sentences; ``caution`` is None where nothing has to be added."""

    effect: str
    error: str
    caution: str | None


def headline(bundle: RunBundle) -> Headline:
    """What the run found, in words that can be repeated in a meeting. Every number is a cell of the comparison."""
    rows = {row.metric: row for row in bundle.comparisons}
    accounts, debt, repaid = rows.get(ACCOUNTS), rows.get(BAD_DEBT), rows.get(DEBT_REPAID)
    findings = [text for text in (_accounts(accounts), _bad_debt(debt), *_otherwise(bundle)) if text]
    sentence = f"{_subject(bundle)}, {_listed(findings)}" if findings else f"{_subject(bundle)}, nothing was measured"
    found = cautions(bundle.comparisons, bundle.validity, bundle.null_test)
    return Headline(
        f"{sentence}{_by_itself(bundle)}.", _error(bundle, accounts, (debt, repaid)), " ".join(found) or None
    )


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _by_itself(bundle: RunBundle) -> str:
    """Whom the change strikes when it arrives."""
    if bundle.excluded:
        noun = "account" if bundle.excluded == 1 else "accounts"
        return (
            f"; {words.count(bundle.excluded)} {noun} that the change itself would have put below health 1 "
            f"{'is' if bundle.excluded == 1 else 'are'} left out of both worlds"
        )
    itself = len(bundle.changed_itself)
    return f"; the change itself would have put {words.count(itself)} of the accounts below health 1" if itself else ""


def _subject(bundle: RunBundle) -> str:
    if not bundle.changes:
        return "With unchanged parameters"
    more = len(bundle.changes) - 1
    also = "" if more == 0 else f" and {more} other change{'s' if more > 1 else ''}"
    since = "" if bundle.change_s is None else f" from {words.day(bundle.change_s)}"
    first = bundle.changes[0].replace(": ", " ", 1)
    return f"With {first}{also}{since}"


def _accounts(row: Comparison | None) -> str:
    if row is None or row.effect is None or row.control is None:
        return ""
    if row.effect == 0:
        return f"as many accounts would have been liquidated ({words.count(row.control)})"
    direction = "more" if row.effect > 0 else "fewer"
    size = words.count(abs(row.effect))
    noun = "account" if abs(row.effect) == 1 else "accounts"
    interval = _interval(row)
    relative = (
        f"{words.change(row.effect / row.control, 'share')} of {words.count(row.control)}"
        if row.control
        else "control: none"
    )
    return f"{size} {direction} {noun} would have been liquidated ({relative}{interval})"


def _bad_debt(row: Comparison | None) -> str:
    if row is None or row.effect is None:
        return ""
    if words.usd(row.alternative) == words.usd(row.control):
        return f"bad debt would have stayed at {words.usd(row.control)}"
    interval = _interval(row).removeprefix(", ")
    told = f" ({interval.replace('interval', 'interval of the difference')})" if interval else ""
    return f"bad debt would have been {words.usd(row.alternative)} instead of {words.usd(row.control)}{told}"


def _interval(row: Comparison) -> str:
    if row.low is None or row.high is None:
        return ""
    low, high = (words.change(end, row.unit) for end in (row.low, row.high))
    return f", 95{words.NARROW}% interval {low} to {high}"


def _otherwise(bundle: RunBundle) -> Iterable[str]:
    """What moves where neither accounts nor bad debt do: the first such metric."""
    for name in seen_first(bundle.comparisons, (ACCOUNTS, BAD_DEBT))[:3]:
        row = next(row for row in bundle.comparisons if row.metric == name)
        if name not in (ACCOUNTS, BAD_DEBT):
            before, after = words.number(row.control, row.unit), words.number(row.alternative, row.unit)
            yield f"{row.label[0].lower()}{row.label[1:]} would have been {after} instead of {before}"


def _error(bundle: RunBundle, accounts: Comparison | None, dollars: Iterable[Comparison | None]) -> str:
    parts = []
    if accounts is not None and accounts.model_error is not None:
        size = abs(accounts.model_error)
        noun = f"liquidated account{'' if size == 1 else 's'}"
        parts.append(f"{words.count(size)} {noun}{_mistakes(bundle.validity)}")
    for row in dollars:
        if row is not None and row.model_error is not None:
            parts.append(f"{words.usd(abs(row.model_error))} of {_NOUNS[row.metric]}{_gross(row)}")
    skipped = bundle.validity.get(SKIPPED)
    rests = (
        f" {words.share(skipped)} of the alternative's value rests on skipped actions{_left(bundle)}."
        if skipped is not None
        else ""
    )
    return f"Model error on the same window: {', '.join(parts)}.{rests}" if parts else rests.strip()


def _mistakes(validity: Mapping[str, float | None]) -> str:
    """Both kinds of mistakes, which the net number hides."""
    false, missed = validity.get("model_false_accounts"), validity.get("model_missed_accounts")
    if false is None or missed is None:
        return ""
    return f" net ({words.count(false)} that the chain did not liquidate, {words.count(missed)} missed)"


def _gross(row: Comparison) -> str:
    """The same of an amount: mistakes on different accounts cancel in the net number."""
    return "" if row.gross_error is None else f" net ({words.usd(row.gross_error)} account by account)"


def _left(bundle: RunBundle) -> str:
    """The harsher measure: what acts on after leaving history is counted nowhere among the skipped actions."""
    share, accounts = (bundle.validity.get(name) for name in ("diverged_value_share", "diverged_accounts"))
    if share is None or accounts is None or share < MUCH_LEFT:
        return ""
    return f"; by its end {words.share(share)} of all value is in {words.count(accounts)} accounts that left history"


def data_fails(null_test: Mapping[str, int]) -> str:
    """What to say of data whose own logs contradict the rebuilt market."""
    compared, equal, recorded, reproduced = (
        null_test[name] for name in ("compared", "equal", "recorded", "reproduced")
    )
    failed = []
    if equal < compared:
        failed.append(f"{compared - equal:,} of {compared:,} balances and indices that its own logs state")
    if reproduced < recorded:
        failed.append(f"{recorded - reproduced:,} of {recorded:,} recorded liquidations")
    return (
        f"The data fails the null test: {' and '.join(failed)} are not reproduced, so logs are missing or wrong and no "
        "number of this run can be relied on. `l2liq check` names the differences."
    )


def cautions(
    comparisons: Sequence[Comparison], validity: Mapping[str, float | None], null_test: Mapping[str, int] | None
) -> list[str]:
    """What to be careful about, the worst first."""
    rows = {row.metric: row for row in comparisons}
    return [*_data(null_test), *_uncertain(rows.get(ACCOUNTS), rows.get(BAD_DEBT)), *_diverged(validity)]


def _data(tested: Mapping[str, int] | None) -> Iterable[str]:
    if tested is not None and (tested["compared"], tested["recorded"]) != (tested["equal"], tested["reproduced"]):
        yield data_fails(tested)


def _uncertain(*rows: Comparison | None) -> Iterable[str]:
    for reading, told in (
        (WITHIN_ERROR, "Within model error: the effect on {} is smaller than what the model gets wrong anyway."),
        (INCLUDES_ZERO, "The 95\u202f% interval of the effect on {} includes zero."),
    ):
        names = [row.label.lower() for row in rows if row is not None and verdict(row) == reading]
        if names:
            yield told.format(" and ".join(names))


def _diverged(validity: Mapping[str, float | None]) -> Iterable[str]:
    half = validity.get("half_diverged_at_s")
    if half is not None:
        yield (
            f"Half of all value had left history by {words.moment(int(half))}: what is said of later times is not "
            "supported."
        )
