"""Protocols by name. Adding one: its folder, and its line here."""

from __future__ import annotations

from importlib import import_module

from l2liq.errors import InputError
from l2liq.protocols.interface import Protocol

_PLACES = {"aave-v3": "l2liq.protocols.aave_v3.protocol"}

NAMES = tuple(sorted(_PLACES))
"""Known protocols."""


def protocol(name: str) -> Protocol:
    """The protocol of that name; raises InputError naming the known ones."""
    if name not in _PLACES:
        raise InputError(f"protocol {name!r} is not known. Known: {', '.join(NAMES)}.")
    found: Protocol = import_module(_PLACES[name]).PROTOCOL
    return found
