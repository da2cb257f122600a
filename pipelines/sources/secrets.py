"""Keys hide in the users, paths and queries of URLs. Nothing but scheme and host of a URL is ever shown or stored."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)


def label_of(url: str) -> str:
    """``https://user:pw@node.example:8545/v3/KEY?x=y`` gives ``https://node.example``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}"


def without_secrets(text: str) -> str:
    """Text with every URL in it cut down to scheme and host."""
    return _URL.sub(lambda match: label_of(match[0]), text)


def redact(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that cuts URLs in all values, nested ones too."""
    return {key: _clean(value) for key, value in event.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: _clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    if isinstance(value, BaseException):
        return without_secrets(f"{type(value).__name__}: {value}")
    return value
