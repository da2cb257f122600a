"""What is known of blocks by the thousand is what a plain mapping would know of each."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stream.ancestry import Ancestry, Hashed, Known


def hash_of(number: int, fork: int) -> bytes:
    return bytes([fork]) * 31 + bytes([number])


@st.composite
def headers(draw: st.DrawFn) -> list[tuple[int, Known]]:
    """A few blocks, mostly in order and mostly children of the one before."""
    numbers = draw(st.lists(st.integers(1, 30), max_size=6))
    numbers = sorted(set(numbers)) if draw(st.integers(0, 4)) else numbers
    forks = draw(st.lists(st.integers(0, 5), min_size=len(numbers), max_size=len(numbers)))
    return [(n, (hash_of(n, 0), hash_of(n - 1, int(fork == 5)))) for n, fork in zip(numbers, forks, strict=True)]


def hashed(blocks: list[tuple[int, Known]]) -> Hashed:
    hashes, parents = (
        np.frombuffer(b"".join(known[place] for _, known in blocks), np.uint8).reshape(-1, 32) for place in (0, 1)
    )
    return Hashed(np.array([number for number, _ in blocks], np.int64), hashes, parents)


def goes_on(known: dict[int, Known], blocks: list[tuple[int, Known]]) -> bool:
    """Whether blocks rise behind all that are known, and are children of those next to them."""
    seen = dict(known)
    for number, one in blocks:
        if number <= max(seen, default=-1) or (number - 1 in seen and seen[number - 1][0] != one[1]):
            return False
        seen[number] = one
    return True


steps = st.one_of(
    st.tuples(st.just("extend"), headers()),
    st.tuples(st.just("put"), st.integers(1, 30)),
    st.tuples(st.just("keep"), st.tuples(st.integers(0, 20), st.integers(10, 40))),
)


@given(st.lists(steps, max_size=8))
@settings(max_examples=400)
def test_it_knows_what_a_mapping_knows(history: list[tuple[str, Any]]) -> None:
    ancestry, known = Ancestry(), dict[int, Known]()
    for what, content in history:
        if what == "extend":
            taken = ancestry.extend(hashed(content))
            assert taken == goes_on(known, content)
            known |= dict(content) if taken else {}
        elif what == "put" and content not in known:
            known[content] = hash_of(content, 0), hash_of(content - 1, 0)
            ancestry.put(content, known[content])
        elif what == "keep":
            start, stop = content
            ancestry.keep(start, stop)
            known = {number: one for number, one in known.items() if start <= number < stop}
        assert [ancestry.get(number) for number in range(32)] == [known.get(number) for number in range(32)]
        assert ancestry.last == max(known, default=-1)
