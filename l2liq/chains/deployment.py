"""A deployment: what names a market before a single log of it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""What may stand in a path of the lake."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One protocol's contracts on one chain.

    Attributes
    ----------
    name : e.g. ``aave-v3/arbitrum``
    slug : the name in paths, matching :data:`SLUG`
    protocol : key of the protocol, e.g. ``aave-v3``
    version : rule version at ``start_block``, e.g. ``3.0.2``; later ones: ``Upgraded`` events or the supplement
    chain_id : EIP-155 id
    addresses : named entry contracts (Aave: ``addresses_provider``), 20 bytes each
    start_block : first block that can hold a log of the market
    supplement : what logs cannot show, as given by hand (protocol's own keys; raw YAML values)
    """

    name: str
    slug: str
    protocol: str
    version: str
    chain_id: int
    addresses: Mapping[str, bytes]
    start_block: int = 0
    supplement: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
