"""What followers and sinks tell Prometheus; every number is per market."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from l2liq.errors import SourceError

_MARKET = ("market",)


class Metrics:
    """The numbers of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.head_block = self._gauge("head_block", "Last block of the chain, as the follower sees it")
        self.final_block = self._gauge("final_block", "Last block that the chain calls final")
        self.followed_block = self._gauge("followed_block", "Last block that was put into the topic")
        self.messages = self._counter("messages", "Messages put into the topic")
        self.followed_logs = self._counter("followed_logs", "Logs put into the topic")
        self.retracted_blocks = self._counter("retracted_blocks", "Blocks taken back after a reorganisation")
        self.lag_messages = self._gauge("lag_messages", "Records of the topic that the sink has not read")
        self.read_logs = self._counter("read_logs", "Logs read from the topic")
        self.logs_per_second = self._gauge("logs_per_second", "Logs read from the topic per second, lately")
        self.scanned_block = self._gauge("scanned_block", "Last block that the sink knows of")
        self.sealed_block = self._gauge("sealed_block", "Last block that is sealed, -1 for none")
        self.sealed_logs = self._counter("sealed_logs", "Logs sealed")
        self.poison_messages = self._counter("poison_messages", "Messages that were put into quarantine")
        self.gap_fetches = self._counter("gap_fetches", "Ranges that the stream lacked and the node gave")
        self.stopped = self._gauge("stopped", "1 while a cell cannot be sealed and a person has to look")

    def serve(self, port: int, address: str) -> None:
        """Serve them over HTTP from a thread of its own. SourceError where the port is not to be had."""
        try:
            start_http_server(port, address, registry=self.registry)
        except OSError as error:
            raise SourceError(
                f"{address}:{port}: metrics cannot be served there ({error.strerror}). Choose another --metrics-port."
            ) from error

    def _gauge(self, name: str, what: str) -> Gauge:
        return Gauge(f"l2liq_stream_{name}", what, _MARKET, registry=self.registry)

    def _counter(self, name: str, what: str) -> Counter:
        return Counter(f"l2liq_stream_{name}", what, _MARKET, registry=self.registry)
