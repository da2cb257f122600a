"""JSON-RPC over HTTP that keeps going: retries with growing, jittered pauses, a rate limit, batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import requests
import tenacity
from web3 import HTTPProvider
from web3.types import RPCEndpoint

from l2liq.errors import InputError, SourceError
from pipelines.sources.refusals import BusyError, SlowError, http_refusal, refusal
from pipelines.sources.secrets import label_of

T = TypeVar("T")

BATCH_ATTEMPTS = 3
"""How often a batch is sent before its halves are."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How to treat a node.

    Attributes
    ----------
    timeout_s : patience with one request [s]
    attempts : how often one request is made before giving up
    pause_s, longest_pause_s : first pause between attempts, doubling from there with jitter, and its bound [s]
    concurrency : requests under way at a time
    rate : requests per second, None = as fast as they are answered
    batch : requests in one HTTP request
    """

    timeout_s: float = 60.0
    attempts: int = 8
    pause_s: float = 0.5
    longest_pause_s: float = 30.0
    concurrency: int = 4
    rate: float | None = None
    batch: int = 100


class JsonRpc:
    """A node's JSON-RPC interface. Safe to use from several threads.

    ``calls`` counts requests made, repetitions included.
    """

    def __init__(self, url: str, manners: Manners) -> None:
        if not url.lower().startswith(("http://", "https://")):
            raise InputError(f"{label_of(url)}: only http and https nodes are supported.")
        self.label = label_of(url)
        self.manners = manners
        self.calls = 0
        self._provider = HTTPProvider(url, {"timeout": manners.timeout_s}, exception_retry_configuration=None)
        self._pace = _Pace(manners.rate)
        self._counting = threading.Lock()

    def call(self, method: str, *params: Any, attempts: int | None = None) -> Any:
        """The result of one request, tried at most ``attempts`` times.

        Raises TooMuchError, UnavailableError or RevertedError (what the node says of this question), or SourceError
        where it does not answer at all.
        """
        return self._patiently(lambda: self._once(method, params), attempts)

    def batch(self, method: str, params: Sequence[Sequence[Any]]) -> list[Any]:
        """The results of requests of one method, in their order; errors as in :meth:`call`."""
        size = self.manners.batch
        parts = [params[start : start + size] for start in range(0, len(params), size)]
        return [result for part in parts for result in self._batched(method, part)]

    def _batched(self, method: str, params: Sequence[Sequence[Any]]) -> list[Any]:
        """One batch; halves of it where the node does not manage it at once."""
        if len(params) == 1:
            return [self.call(method, *params[0])]
        try:
            return self._patiently(lambda: self._batch_once(method, params), BATCH_ATTEMPTS)
        except BusyError:
            half = len(params) // 2
            return self._batched(method, params[:half]) + self._batched(method, params[half:])

    def _patiently(self, ask: Callable[[], T], attempts: int | None) -> T:
        manners = self.manners
        pause = tenacity.wait_exponential_jitter(
            multiplier=manners.pause_s, max=manners.longest_pause_s, jitter=manners.pause_s
        )
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(min(attempts or manners.attempts, manners.attempts)),
            wait=lambda state: max(pause(state), _asked_to_wait(state)),
            retry=tenacity.retry_if_exception_type(BusyError),
            reraise=True,
        )
        return retrying(ask)

    def _once(self, method: str, params: Sequence[Any]) -> Any:
        answer = self._answer(method, lambda: self._provider.make_request(RPCEndpoint(method), list(params)))
        return self._result(method, answer)

    def _batch_once(self, method: str, params: Sequence[Sequence[Any]]) -> list[Any]:
        requests_ = [(RPCEndpoint(method), list(one)) for one in params]
        answer = self._answer(method, lambda: self._provider.make_batch_request(requests_))
        if not isinstance(answer, list):
            self._result(method, answer)
            raise BusyError(f"{self.label}: no list came back for a batch of {method}. Try --batch 1.")
        if len(answer) != len(params):
            raise BusyError(
                f"{self.label}: {len(answer)} answers to {len(params)} requests of {method}. Try --batch 1."
            )
        return [self._result(method, one) for one in answer]

    def _answer(self, method: str, ask: Callable[[], Any]) -> Any:
        """What came back, parsed; the exception says nothing of the address but its host."""
        self._pace.wait()
        with self._counting:
            self.calls += 1
        try:
            return ask()
        except requests.HTTPError as error:
            response = cast(requests.Response, error.response)
            raise http_refusal(self.label, method, response.status_code, response.headers.get("Retry-After")) from None
        except requests.Timeout:
            raise SlowError(
                f"{self.label}: no {method} in {self.manners.timeout_s:g} s. Check the node or raise --timeout."
            ) from None
        except requests.exceptions.InvalidURL:
            raise SourceError(f"{self.label}: the address is no URL. Check it.") from None
        except requests.RequestException as error:
            raise BusyError(
                f"{self.label}: the connection failed ({_kind(error)}). Check the address and that the node is up."
            ) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BusyError(
                f"{self.label}: the answer to {method} is cut short or no JSON-RPC. Check that this is a node."
            ) from None

    def _result(self, method: str, answer: Any) -> Any:
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise BusyError(
                f"{self.label}: the answer to {method} is not JSON-RPC. Check that this is a node's address."
            )
        if answer.get("error") is not None:
            raise refusal(self.label, method, answer["error"])
        return answer["result"]


class _Pace:
    """Lets callers through at most ``rate`` times a second."""

    def __init__(self, rate: float | None) -> None:
        self._interval_s = 1 / rate if rate else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        if not self._interval_s:
            return
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + self._interval_s
        time.sleep(max(0.0, turn - time.monotonic()))


def _asked_to_wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return min(error.wait_s, 300.0) if isinstance(error, BusyError) else 0.0


def _kind(error: requests.RequestException) -> str:
    """The kind of a failure, without the address that its text would show."""
    return type(error).__name__.removesuffix("Error")
