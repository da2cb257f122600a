"""A fresh node per test; contracts are compiled once and kept on disk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.evm.anvil import Node, running_node


@pytest.fixture
def node() -> Iterator[Node]:
    """A chain of its own for one test."""
    with running_node() as running:
        yield running
