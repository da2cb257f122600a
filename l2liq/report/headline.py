"""The report's first sentences: the effect, the model's error on the same window, and what to be careful about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from l2liq.report import words
from l2liq.report.bundle import Comparison, RunBundle

ACCOUNTS = "liquidated_accounts"
BAD_DEBT = "bad_debt_usd"
DEBT_REPAID = "debt_repaid_usd"
_NOUNS = {BAD_DEBT: "bad debt", DEBT_REPAID: "debt repaid"}
SKIPPED = "skipped_value_share"


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
    findings = [text for text in (_accounts(accounts), _bad_debt(debt)) if text]
    sentence = (
        f"{_subject(bundle)}, {' and '.join(findings)}" if findings else f"{_subject(bundle)}, nothing was measured"
    )
    itself = len(bundle.changed_itself)
    if itself:
        sentence += f"; the change itself would have put {words.count(itself)} of the accounts below health 1"
    return Headline(sentence + ".", _error(bundle, accounts, (debt, repaid)), _caution(bundle, accounts, debt))


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
    interval = ""
    if row.low is not None and row.high is not None:
        interval = f", 95{words.NARROW}% interval {words.change(row.low, 'count')} to {words.change(row.high, 'count')}"
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
    return f"bad debt would have been {words.usd(row.alternative)} instead of {words.usd(row.control)}"


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
        f" {words.share(skipped)} of the alternative's value rests on skipped actions." if skipped is not None else ""
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


def _caution(bundle: RunBundle, accounts: Comparison | None, debt: Comparison | None) -> str | None:
    within = [row.label.lower() for row in (accounts, debt) if row is not None and row.effect and row.within_error]
    if within:
        names = " and ".join(within)
        return f"Within model error: the effect on {names} is smaller than what the model gets wrong anyway."
    return None
