"""What a source knows of transactions beside their logs: what they were called with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from l2liq.protocols.interface import Decoder, Message, Moment


@dataclass(frozen=True, slots=True)
class Input:
    """Calldata of one transaction that succeeded: its own, or where a source tells them its calls to the protocol.

    Attributes
    ----------
    after : the position behind which it stands: the last log of whatever contract before it, and the time of its block
    messages : in order
    """

    after: Moment
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Calldata:
    """What a source knows of a market's transactions beside their logs, and who can read it.

    Attributes
    ----------
    inputs : (block, index in the block) to input; transactions without a log may be among them
    """

    decoder: Decoder
    inputs: Mapping[tuple[int, int], Input] = field(repr=False)
