"""A node as a source: logs of any range for any filter, headers, contract calls."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
from eth_utils.abi import function_signature_to_4byte_selector

from l2liq.chains.chain import Chain, Finality
from l2liq.errors import InputError, SourceError
from l2liq.events.filter import Filter
from l2liq.lake import INPUTS, Span
from l2liq.lake.tables import kept, passing
from l2liq.protocols.interface import Question
from pipelines.sources.jsonrpc import JsonRpc
from pipelines.sources.refusals import RevertedError, SlowError, TooMuchError, UnavailableError
from pipelines.sources.rows import UNTIMED_LOGS, raw, table_of, whole

T = TypeVar("T")

FIRST_STRIDE_BLOCKS = 10_000
MOST_ADDRESSES = 200
_QUICK_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Header:
    """A block's header. ``bloom``: its logsBloom as an integer, 0 where the chain has none."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp_s: int
    base_fee_wei: int | None
    bloom: int


@dataclass(frozen=True, slots=True)
class _Request:
    """One eth_getLogs: blocks [start, stop), addresses, topic0 values (None = all)."""

    start: int
    stop: int
    addresses: tuple[bytes, ...]
    topics: tuple[bytes, ...] | None

    def parameters(self) -> dict[str, Any]:
        found: dict[str, Any] = {"fromBlock": hex(self.start), "toBlock": hex(self.stop - 1)}
        found["address"] = ["0x" + address.hex() for address in self.addresses]
        if self.topics is not None:
            found["topics"] = [["0x" + topic.hex() for topic in self.topics]]
        return found

    def halves(self) -> tuple[_Request, _Request] | None:
        """Half the blocks each; of one block half the addresses, then half the topics; None where nothing is left."""
        if self.stop - self.start > 1:
            middle = (self.start + self.stop) // 2
            return (
                _Request(self.start, middle, self.addresses, self.topics),
                _Request(middle, self.stop, self.addresses, self.topics),
            )
        if len(self.addresses) > 1:
            half = len(self.addresses) // 2
            return (
                _Request(self.start, self.stop, self.addresses[:half], self.topics),
                _Request(self.start, self.stop, self.addresses[half:], self.topics),
            )
        if self.topics is not None and len(self.topics) > 1:
            half = len(self.topics) // 2
            return (
                _Request(self.start, self.stop, self.addresses, self.topics[:half]),
                _Request(self.start, self.stop, self.addresses, self.topics[half:]),
            )
        return None


class Node:
    """A JSON-RPC node of a known chain."""

    def __init__(self, rpc: JsonRpc, chain: Chain) -> None:
        self.rpc = rpc
        self.chain = chain
        self.label = rpc.label
        self._stride = FIRST_STRIDE_BLOCKS
        self._refused = 1 << 62
        self._adapting = threading.Lock()

    def check_chain(self) -> None:
        """InputError unless the node is of the chain that it should be."""
        found = self._number("eth_chainId")
        if found != self.chain.chain_id:
            raise InputError(
                f"{self.label}: a node of chain {found}, but the market is on {self.chain.name} "
                f"(chain {self.chain.chain_id}). Give a node of that chain."
            )

    def latest(self) -> int:
        """Number of the latest block."""
        return self._number("eth_blockNumber")

    def _number(self, method: str) -> int:
        """What the node answers to a question for a number; SourceError where that is none."""
        answer = self.rpc.call(method)
        try:
            return whole(answer)
        except (TypeError, ValueError):
            raise SourceError(
                f"{self.label}: the node answers {str(answer)[:60]!r} to {method}, which is no number. "
                "Use another node."
            ) from None

    def final(self, finality: Finality) -> int:
        """Number of the last block that counts as final, -1 if none does."""
        if finality.tag is None:
            return self.latest() - finality.confirmations
        try:
            found = self.rpc.call("eth_getBlockByNumber", finality.tag, False)
        except UnavailableError:
            found = None
        if found is None:
            raise SourceError(
                f"{self.label}: the node knows no {finality.tag} block. Use another node, or a market file with "
                f"`finality: 64` (confirmations)."
            )
        return self._header(found).number

    def headers(self, numbers: Iterable[int]) -> dict[int, Header]:
        """Headers by number. SourceError where the node lacks one."""
        wanted = sorted(set(numbers))
        parts = _parts(wanted, self.rpc.manners.batch)
        with ThreadPoolExecutor(self.rpc.manners.concurrency) as pool:
            answers = list(pool.map(self._headers, parts))
        return {header.number: header for part in answers for header in part}

    def logs(self, span: Span, wanted: Filter) -> pa.Table:
        """Logs of ``span`` that ``wanted`` lets through, in no particular order (schema UNTIMED_LOGS).

        A range that the node refuses for its size is halved, down to one block and one address.
        """
        requests = self._requests(span, wanted)
        with ThreadPoolExecutor(self.rpc.manners.concurrency) as pool:
            tables = [table for part in pool.map(self._fetched, requests) for table in part]
        with self._adapting:
            if self._stride * 2 < self._refused:
                self._stride *= 2
        table = pa.concat_tables([UNTIMED_LOGS.empty_table(), *tables])
        return kept(table, passing(table, wanted))

    def block_logs(self, block_hash: bytes) -> list[tuple[bytes, tuple[bytes, ...]]]:
        """Address and topics of every log of one block, whoever emitted it."""
        found = self._list("eth_getLogs", self.rpc.call("eth_getLogs", {"blockHash": "0x" + block_hash.hex()}))
        try:
            once = {whole(one["logIndex"]): one for one in found}
            return [
                (raw(one["address"], 20), tuple(raw(topic, 32) for topic in one["topics"])) for one in once.values()
            ]
        except (KeyError, TypeError, ValueError):
            raise SourceError(
                f"{self.label}: eth_getLogs of a block gave no logs that can be read. Use another node."
            ) from None

    def call(self, target: bytes, signature: str, arguments: bytes, block: int) -> bytes:
        """Answer of a contract after ``block``, ABI-encoded.

        ``signature`` is like ``getGracePeriod()(uint256)``. Raises RevertedError or UnavailableError (no such state).
        """
        return self._bytes("eth_call", self.rpc.call("eth_call", _request(target, signature, arguments), hex(block)))

    def answers(self, questions: Sequence[Question]) -> list[bytes]:
        """Answers in the order of the questions, as :meth:`call` gives them; no bytes where a call reverts."""
        parts = _parts(questions, self.rpc.manners.batch)
        with ThreadPoolExecutor(self.rpc.manners.concurrency) as pool:
            return [answer for part in pool.map(self._answers, parts) for answer in part]

    def _answers(self, questions: Sequence[Question]) -> list[bytes]:
        calls = [(_request(one.target, one.signature, one.arguments), hex(one.block)) for one in questions]
        try:
            return [self._bytes("eth_call", answer) for answer in self.rpc.batch("eth_call", calls)]
        except RevertedError:
            half = len(questions) // 2
            return self._answers(questions[:half]) + self._answers(questions[half:]) if half else [b""]

    def has_code(self, address: bytes, block: int) -> bool:
        """Whether a contract exists after ``block``."""
        return bool(self._bytes("eth_getCode", self.rpc.call("eth_getCode", "0x" + address.hex(), hex(block))))

    def inputs(self, hashes: Sequence[bytes]) -> pa.Table:
        """What transactions asked for, by hash (schema INPUTS). SourceError where the node lacks one."""
        parts = _parts(list(hashes), self.rpc.manners.batch)
        with ThreadPoolExecutor(self.rpc.manners.concurrency) as pool:
            rows = [row for part in pool.map(self._inputs, parts) for row in part]
        columns = {name: [row[place] for row in rows] for place, name in enumerate(INPUTS.names)}
        return pa.Table.from_pydict(columns, INPUTS)

    def _inputs(self, hashes: Sequence[bytes]) -> list[tuple[int, int, bytes, bytes, bytes | None, bytes]]:
        found = self.rpc.batch("eth_getTransactionByHash", [("0x" + one.hex(),) for one in hashes])
        return [self._input(one, answer) for one, answer in zip(hashes, found, strict=True)]

    def _input(self, wanted: bytes, answer: Any) -> tuple[int, int, bytes, bytes, bytes | None, bytes]:
        if answer is None:
            raise SourceError(
                f"{self.label}: the node has no transaction 0x{wanted.hex()}. Use a node with the whole chain."
            )
        try:
            recipient = answer.get("to")
            return (
                whole(answer["blockNumber"]),
                whole(answer["transactionIndex"]),
                raw(answer["hash"], 32),
                raw(answer["from"], 20),
                None if recipient is None else raw(recipient, 20),
                raw(answer["input"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise SourceError(f"{self.label}: a transaction that cannot be read came back. Use another node.") from None

    def requests_for(self, span: Span, wanted: Filter) -> int:
        """How many eth_getLogs a range takes at the present stride."""
        return len(self._requests(span, wanted))

    def _requests(self, span: Span, wanted: Filter) -> list[_Request]:
        """Ranges × groups of addresses: those that need all their topics, and those that need some."""
        everything = sorted(address for address, topics in wanted.topics.items() if topics is None)
        some = sorted(address for address, topics in wanted.topics.items() if topics is not None)
        union = tuple(sorted({topic for topics in wanted.topics.values() if topics is not None for topic in topics}))
        groups: list[tuple[tuple[bytes, ...], tuple[bytes, ...] | None]] = []
        groups += [(part, None) for part in _parts(everything, MOST_ADDRESSES)]
        groups += [(part, union) for part in _parts(some, MOST_ADDRESSES)] if union else []
        starts = range(span.start, span.stop, self._stride)
        return [
            _Request(start, min(start + self._stride, span.stop), addresses, topics)
            for start in starts
            for addresses, topics in groups
        ]

    def _fetched(self, request: _Request) -> list[pa.Table]:
        one_block = request.stop - request.start == 1
        try:
            attempts = None if one_block else _QUICK_ATTEMPTS
            found = self.rpc.call("eth_getLogs", request.parameters(), attempts=attempts)
        except (TooMuchError, SlowError) as refused:
            halves = request.halves()
            if halves is None:
                raise SourceError(
                    f"{self.label}: the node cannot give the logs of block {request.start:,} of one contract "
                    f"({refused}) Use another node."
                ) from None
            if isinstance(refused, SlowError):
                self.latest()  # a node that does not answer this either is down, not overcharged
            self._shrink(request.stop - request.start)
            return self._fetched(halves[0]) + self._fetched(halves[1])
        return [self._checked(request, self._list("eth_getLogs", found))]

    def _shrink(self, refused_blocks: int) -> None:
        with self._adapting:
            self._refused = min(self._refused, refused_blocks)
            self._stride = max(1, min(self._stride, refused_blocks // 2))

    def _checked(self, request: _Request, found: Sequence[Any]) -> pa.Table:
        """What came back as a table; SourceError where the node answered another question."""
        place = f"{self.label}: logs of blocks {request.start:,}–{request.stop - 1:,}"
        table = table_of(found, lambda number: f"{place}, number {number + 1}", SourceError)
        blocks = table.column("block_number").to_numpy()
        if len(blocks) and (blocks.min() < request.start or blocks.max() >= request.stop):
            raise SourceError(f"{place}: the node gave logs of other blocks. Use another node.")
        return table

    def _headers(self, numbers: Sequence[int]) -> list[Header]:
        found = self.rpc.batch("eth_getBlockByNumber", [(hex(number), False) for number in numbers])
        headers = []
        for number, answer in zip(numbers, found, strict=True):
            if answer is None:
                raise SourceError(f"{self.label}: the node has no block {number:,}. Use a node with the whole chain.")
            header = self._header(answer)
            if header.number != number:
                raise SourceError(f"{self.label}: asked for block {number:,}, got {header.number:,}. Use another node.")
            headers.append(header)
        return headers

    def _header(self, answer: Any) -> Header:
        try:
            fee = answer.get("baseFeePerGas")
            return Header(
                number=whole(answer["number"]),
                hash=raw(answer["hash"], 32),
                parent_hash=raw(answer["parentHash"], 32),
                timestamp_s=whole(answer["timestamp"]),
                base_fee_wei=None if fee is None else whole(fee),
                bloom=int.from_bytes(raw(answer.get("logsBloom") or "0x"), "big"),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise SourceError(
                f"{self.label}: a block header that cannot be read came back. Use another node."
            ) from None

    def _list(self, method: str, found: Any) -> Sequence[Mapping[str, Any]]:
        if not isinstance(found, list):
            raise SourceError(
                f"{self.label}: {method} gave {type(found).__name__} instead of a list. Use another node."
            )
        return found

    def _bytes(self, method: str, found: Any) -> bytes:
        try:
            return raw(found)
        except (TypeError, ValueError):
            raise SourceError(f"{self.label}: {method} gave no bytes. Use another node.") from None


def _request(target: bytes, signature: str, arguments: bytes) -> dict[str, str]:
    """What eth_call is asked."""
    selector = function_signature_to_4byte_selector(signature[: signature.index(")") + 1])
    return {"to": "0x" + target.hex(), "data": "0x" + (selector + arguments).hex()}


def _parts(things: Sequence[T], size: int) -> list[tuple[T, ...]]:
    return [tuple(things[start : start + size]) for start in range(0, len(things), size)]
