"""``lake.json``: what makes a folder a lake, its version, and the cells of its chains."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from l2liq.errors import LakeError
from l2liq.lake.datasets import Grid
from l2liq.lake.publish import make_folder, naming_failures
from l2liq.lake.segments import LAKE_VERSION
from l2liq.lake.storage import Storage

NAME = "lake.json"


class Cells(BaseModel):
    """How one chain is cut into cells."""

    model_config = ConfigDict(extra="forbid", strict=True)

    cell_blocks: int = Field(gt=0)


class Content(BaseModel):
    """What ``lake.json`` says; chains by their id in decimal."""

    model_config = ConfigDict(strict=True)

    lake_version: int
    chains: dict[str, Cells]


class Charter:
    """Reads and writes a lake's ``lake.json``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lake = storage.name
        self._file = f"{storage.name}/{NAME}"

    def found(self) -> bool:
        """Whether there is a charter."""
        return self._storage.exists(NAME)

    def found_lake(self) -> None:
        """Turn an absent or empty place into a lake."""
        with naming_failures(self._storage.folder):
            make_folder(self._storage.folder)
        if not self._storage.is_empty() and not self.found():
            raise LakeError(f"{self._lake}: not a lake, and not empty. Name an empty or new place with --lake.")
        with self._storage.exclusive("lake", "creating the lake", wait=True):
            if not self.found():
                self._write(Content(lake_version=LAKE_VERSION, chains={}))

    def read(self) -> Content:
        """The charter. LakeError where there is no lake, it cannot be read, or it is newer than this l2liq."""
        with naming_failures(self._storage.folder):
            try:
                text = self._storage.read(NAME)
            except (FileNotFoundError, IsADirectoryError):
                raise self._missing() from None
        try:
            content = Content.model_validate_json(text)
        except ValidationError as error:
            raise LakeError(
                f"{self._file}: cannot be read. Restore it from a backup, or ingest into a new lake."
            ) from error
        if content.lake_version > LAKE_VERSION:
            raise LakeError(
                f"{self._lake}: version {content.lake_version}, this l2liq knows {LAKE_VERSION}. Install a newer l2liq."
            )
        return content

    def grid(self, chain_id: int, cell_blocks: int) -> Grid:
        """The cells of a chain, recorded on first use."""
        with_chain = self.read()
        if str(chain_id) not in with_chain.chains:
            with self._storage.exclusive("lake", "recording a chain", wait=True):
                with_chain = self.read()
                if str(chain_id) not in with_chain.chains:
                    with_chain.chains[str(chain_id)] = Cells(cell_blocks=cell_blocks)
                    self._write(with_chain)
        known = with_chain.chains[str(chain_id)].cell_blocks
        if known != cell_blocks:
            raise LakeError(
                f"{self._lake}: cells of chain {chain_id} have {known:,} blocks here, not {cell_blocks:,}. "
                f"Use the same number, or a new lake."
            )
        return Grid(known)

    def _write(self, content: Content) -> None:
        self._storage.put(NAME, content.model_dump_json(indent=2).encode() + b"\n")

    def _missing(self) -> LakeError:
        if self._storage.is_absent():
            return LakeError(
                f"{self._lake}: there is no lake here. Make one with `l2liq ingest`, or name another with --lake."
            )
        return LakeError(f"{self._lake}: not a lake (it has no lake.json). Name another folder with --lake.")
