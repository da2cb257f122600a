"""The right to write one market's data. Only one process has it at a time; :meth:`Lake.writer` gives it."""

from __future__ import annotations

import pyarrow as pa

from l2liq.events.filter import Filter
from l2liq.lake import sealing
from l2liq.lake.datasets import DATASETS, OBSERVATION_DATA, Dataset, Linkage, Span, Status
from l2liq.lake.quarantining import Quarantine, Reason
from l2liq.lake.segments import Origin, Segment, Shelf, folder_of


class Writer:
    """Seals, replaces and unseals the data of one market."""

    def __init__(self, shelf: Shelf, quarantine: Quarantine, slug: str, chain_id: int) -> None:
        self._shelf = shelf
        self._quarantine = quarantine
        self._slug = slug
        self._chain_id = chain_id

    def seal_logs(self, span: Span, table: pa.Table, wanted: Filter, *, linkage: Linkage, source: str) -> list[Segment]:
        """Seal the logs of ``span`` (a cell, or a piece of a closed study window) for a filter.

        ``table`` holds exactly the logs that ``wanted`` lets through, in any order, repeated or not; no rows means
        "looked, nothing there". What is sealed already for part of the blocks or addresses must agree to the byte
        and is not written again; the rest becomes files beside it (``<blocks>.s1.parquet`` …). Returns what was new.

        Raises
        ------
        ReorgError
            The rows differ from what is sealed for the same blocks and addresses. Nothing is overwritten.
        InputError
            A row is outside ``span`` or ``wanted``, or a column is missing or of another type.
        DuplicateLogError
            Two different rows at one position.
        """
        return sealing.seal_logs(self._shelf, self._slug, span, table, wanted, self._origin(linkage, source))

    def seal(self, dataset: Dataset, span: Span, table: pa.Table, *, linkage: Linkage, source: str) -> list[Segment]:
        """Seal rows of a dataset other than LOG_DATA; rows that are there already must be equal.

        Returns what was new; errors as in :meth:`seal_logs`.
        """
        return sealing.seal_rows(self._shelf, dataset, self._slug, span, table, self._origin(linkage, source))

    def replace_tail(
        self,
        dataset: Dataset,
        span: Span,
        table: pa.Table,
        wanted: Filter | None = None,
        *,
        linkage: Linkage,
        source: str,
    ) -> Segment:
        """Keep rows behind the last sealed block for now, in place of the market's former tail of this dataset.

        ``wanted`` is what the logs were fetched for; the other datasets have none.
        """
        origin = self._origin(linkage, source)
        return sealing.replace_tail(self._shelf, dataset, self._slug, span, table, wanted, origin)

    def drop_tail(self) -> None:
        """Forget the tail: everything behind the last sealed block is sealed now, or not wanted any more."""
        for dataset in DATASETS:
            self._shelf.store.remove(f"{folder_of(dataset, self._slug, sealed=False)}/tail.parquet")

    def keep_as_found(self, table: pa.Table, *, source: str) -> Segment:
        """Keep the logs of a file that is not declared complete: usable, flagged ``as_found``, and sealing nothing."""
        return sealing.keep_as_found(self._shelf, self._slug, table, self._origin(Linkage.UNVERIFIED, source))

    def unseal_from(self, block: int, *, reason: Reason) -> list[str]:
        """Move every segment that reaches ``block`` or beyond, and the tail, to quarantine; returns where they were.

        The last blocks go first, so that what remains of an interrupted move is still a history without a hole.
        """
        segments = [one for dataset in DATASETS for one in self._shelf.segments(dataset, self._slug)]
        concerned = [one for one in segments if one.span.stop > block and one.status is not Status.AS_FOUND]
        concerned.sort(key=lambda one: (one.status is Status.TAIL, one.span.stop), reverse=True)
        keys = [one.key for one in concerned]
        if keys:
            self._quarantine.take_in(keys, reason, f"{self._slug} from block {block}")
        return keys

    def drop_imported(self, *, reason: str) -> list[str]:
        """Move observations that were imported from tables to quarantine; returns where they were.

        A table is no source whose blocks could be linked, and nothing else seals observations without linkage.
        """
        held = self._shelf.segments(OBSERVATION_DATA, self._slug)
        keys = [one.key for one in held if one.linkage is Linkage.UNVERIFIED and one.status is Status.SEALED]
        if keys:
            self._quarantine.take_in(keys, reason, f"{self._slug}, observations")
        return keys

    def _origin(self, linkage: Linkage, source: str) -> Origin:
        return Origin(self._chain_id, linkage, source)
