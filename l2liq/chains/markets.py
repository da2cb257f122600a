"""Markets by name or by file: what the registry or a market YAML says becomes a deployment on a chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import ScalarNode

from l2liq.chains.chain import Chain, unknown_chain
from l2liq.chains.deployment import SLUG, Deployment
from l2liq.chains.entry import STRICT, Address, ChainEntry, FinalityText, RollupEntry
from l2liq.errors import InputError

MAX_FILE_BYTES = 1 << 20
MAX_DEPTH = 16
_DATA = "l2liq.chains.registry"


@dataclass(frozen=True, slots=True)
class Listing:
    """A market and the chain that it lives on. ``origin``: ``registry``, or the market file's name."""

    deployment: Deployment
    chain: Chain
    origin: str


def find_market(name: str, *, also: Sequence[str] = ()) -> Listing:
    """The market of a registry name (``aave-v3/arbitrum``) or of a market YAML file.

    ``also``: names that are known elsewhere, for the message.

    Raises
    ------
    InputError
        No such name or file, or the file is not a market's; the message says which line or key, and what to write.
    """
    if name in market_names():
        return _registered(name)
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or _is_file(path):
        return _from_file(path)
    known = ", ".join([*also, *market_names()])
    raise InputError(f"market {name[:80]!r} is not known. Known are {known}; or give a market YAML file.")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # longer than a name of a file can be, or no name at all
        return False


def market_names() -> tuple[str, ...]:
    """Names of all registered markets, sorted."""
    return tuple(sorted(f"{protocol}/{chain}" for protocol, entries in _deployments().items() for chain in entries))


def chains() -> Mapping[str, Chain]:
    """All chains that the registry knows, by name."""
    return MappingProxyType({name: entry.chain(name) for name, entry in _chains().items()})


def chain_of(chain_id: int) -> Chain:
    """The chain of an id; one that is not registered gets cautious defaults."""
    return next((chain for chain in chains().values() if chain.chain_id == chain_id), unknown_chain(chain_id))


def _version(value: Any) -> Any:
    return str(value) if isinstance(value, float) else value


VersionText = Annotated[str, BeforeValidator(_version), Field(pattern=r"^\d+(\.\d+){0,3}$")]


def _rollup(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in _chains():
        raise ValueError(f"{value!r} is no chain of the registry. Known are {', '.join(_chains())}.")
    return _chains()[value]


NamedRollup = Annotated[RollupEntry, BeforeValidator(_rollup)]
"""What makes a chain a rollup: written out, or the name of a chain of the registry for "as there"."""


class _DeploymentEntry(BaseModel):
    model_config = STRICT
    version: VersionText
    start_block: int = Field(default=0, ge=0)
    addresses: dict[str, Address]


class _MarketFile(BaseModel):
    """A market YAML. ``addresses_provider`` may stand on top or among ``addresses``."""

    model_config = STRICT
    protocol: str
    version: VersionText
    chain_id: int = Field(gt=0, lt=1 << 63)
    name: str | None = None
    addresses_provider: Address | None = None
    addresses: dict[str, Address] = Field(default_factory=dict)
    start_block: int = Field(default=0, ge=0, lt=1 << 39)
    cell_blocks: int | None = Field(default=None, gt=0, le=10**8)
    finality: FinalityText | None = None
    rollup: NamedRollup | None = None
    supplement: dict[str, Any] = Field(default_factory=dict)


class _Constructor(SafeConstructor):
    """Keeps what is written as 0x… as text: addresses and hashes are not numbers."""

    def construct_yaml_int(self, node: ScalarNode) -> Any:
        text = str(self.construct_scalar(node))
        return text if text[:2] in ("0x", "0X") else super().construct_yaml_int(node)


_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_yaml_int)


def _load(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    return yaml.load(text)


@cache
def _chains() -> Mapping[str, ChainEntry]:
    """Chain to entry: one YAML file per chain."""
    found = {}
    for file in (files(_DATA) / "chains").iterdir():
        if file.name.endswith(".yaml"):
            content = _load(file.read_text(encoding="utf-8"))
            found[file.name.removesuffix(".yaml")] = ChainEntry.model_validate(content)
    return dict(sorted(found.items()))


@cache
def _deployments() -> Mapping[str, Mapping[str, _DeploymentEntry]]:
    """Protocol to chain to entry: one YAML file per protocol."""
    found = {}
    for file in files(_DATA).iterdir():
        if file.name.endswith(".yaml"):
            content = _load(file.read_text(encoding="utf-8"))
            found[file.name.removesuffix(".yaml")] = {
                key: _DeploymentEntry.model_validate(entry) for key, entry in content.items()
            }
    return found


def _registered(name: str) -> Listing:
    protocol, _, chain_name = name.partition("/")
    entry, chain = _deployments()[protocol][chain_name], chains()[chain_name]
    deployment = Deployment(
        name,
        slug_of(name),
        protocol,
        entry.version,
        chain.chain_id,
        MappingProxyType(entry.addresses),
        entry.start_block,
    )
    return Listing(deployment, chain, "registry")


def _from_file(path: Path) -> Listing:
    entry = _read(path)
    addresses = dict(entry.addresses)
    if entry.addresses_provider is not None:
        addresses["addresses_provider"] = entry.addresses_provider
    _require_own_name(entry, path)
    if not addresses:
        raise InputError(f"{path}: no contract is named. Give addresses_provider: 0x….")
    name = entry.name or path.stem
    chain = chain_of(entry.chain_id)
    if chain.block_time_ms is not None and entry.cell_blocks not in (None, chain.cell_blocks):
        raise InputError(f"{path}: cell_blocks of {chain.name} is {chain.cell_blocks} for all markets. Leave it out.")
    chain = replace(
        chain,
        cell_blocks=entry.cell_blocks or chain.cell_blocks,
        finality=entry.finality or chain.finality,
        rollup=entry.rollup.rollup() if entry.rollup is not None else chain.rollup,
    )
    deployment = Deployment(
        name, slug_of(name, str(path)), entry.protocol, entry.version, entry.chain_id, MappingProxyType(addresses),
        entry.start_block, MappingProxyType(entry.supplement),
    )  # fmt: skip
    return Listing(deployment, chain, str(path))


def _require_own_name(entry: _MarketFile, path: Path) -> None:
    """InputError where a file takes the name of a registered market for one on another chain."""
    if entry.name in market_names():
        registered = _registered(entry.name).deployment.chain_id
        if entry.chain_id != registered:
            raise InputError(
                f"{path}: {entry.name} is a market of chain {registered} in the registry, and the file's is on chain "
                f"{entry.chain_id}. Choose another name."
            )


def _read(path: Path) -> _MarketFile:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path}: larger than any market file. Give the YAML file that describes the market.")
        text = path.read_text(encoding="utf-8")
        _refuse_bombs(text, path)
        content = _load(text)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. Known markets: {', '.join(market_names())}.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Give a market YAML file.") from None
    except (ValueError, YAMLError, RecursionError) as error:
        line = f":{error.problem_mark.line + 1}" if isinstance(error, MarkedYAMLError) and error.problem_mark else ""
        raise InputError(
            f"{path}{line}: not YAML. Write `key: value` lines as `l2liq market show` prints them."
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: no market in it. Write at least protocol, version, chain_id and addresses_provider.")
    try:
        return _MarketFile.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {_in_words(error)}") from None


def _refuse_bombs(text: str, path: Path) -> None:
    """Walk the events, which cost no more than the text itself, before anything is built from them."""
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH or isinstance(event, AliasEvent):
            raise InputError(
                f"{path}:{event.start_mark.line + 1}: aliases and deep nesting are not read. Write the values out."
            )


def _in_words(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing" and len(first["loc"]) > 1:
        return f"{key} is missing."
    if first["type"] == "missing":
        return f"{key} is missing. A market file has at least protocol, version, chain_id and addresses_provider."
    if first["type"] == "extra_forbidden" and len(first["loc"]) > 1:
        return f"{key} is not known here. Take it out."
    if first["type"] == "extra_forbidden":
        return f"{key} is not a key of a market file. Known: {', '.join(_MarketFile.model_fields)}."
    return f"{key}: {first['msg'].removeprefix('Value error, ')}"


def slug_of(name: str, place: str = "market") -> str:
    """A market's name in paths: ``aave-v3/arbitrum`` gives ``aave-v3-arbitrum``."""
    slug = name.replace("/", "-", 1)
    if not SLUG.fullmatch(slug) or len(slug) > 100:
        raise InputError(
            f"{place}: {name[:80]!r} cannot name a market. "
            f"Use lower-case letters, digits and dashes, as in aave-v3/mine."
        )
    return slug
