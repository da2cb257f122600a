"""``lake.json``: what makes a folder a lake, its version, and the cells of its chains."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from l2liq.errors import LakeError
from l2liq.lake.datasets import Grid
from l2liq.lake.locks import exclusive
from l2liq.lake.publish import make_folder, naming_failures, publish_bytes
from l2liq.lake.segments import LAKE_VERSION


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

    def __init__(self, lake: Path) -> None:
        self._lake = lake
        self._file = lake / "lake.json"

    def found(self) -> bool:
        """Whether the folder has a charter."""
        with naming_failures(self._file):
            return self._file.is_file()

    def found_lake(self) -> None:
        """Turn an absent or empty folder into a lake."""
        with naming_failures(self._lake):
            make_folder(self._lake)
            others = [
                entry.name for entry in self._lake.iterdir() if entry.name != ".locks" and ".tmp-" not in entry.name
            ]
        if others and not self.found():
            raise LakeError(f"{self._lake}: not a lake, and not empty. Name an empty or new folder with --lake.")
        with exclusive(self._lake / ".locks" / "lake.lock", "creating the lake", wait=True):
            if not self.found():
                self._write(Content(lake_version=LAKE_VERSION, chains={}))

    def read(self) -> Content:
        """The charter. LakeError where there is no lake, it cannot be read, or it is newer than this l2liq."""
        with naming_failures(self._lake):
            if not self._lake.exists():
                raise LakeError(
                    f"{self._lake}: there is no lake here. Make one with `l2liq ingest`, or name another with --lake."
                )
            if not self._file.is_file():
                raise LakeError(f"{self._lake}: not a lake (it has no lake.json). Name another folder with --lake.")
            text = self._file.read_bytes()
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
            with exclusive(self._lake / ".locks" / "lake.lock", "recording a chain", wait=True):
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
        publish_bytes(self._file, content.model_dump_json(indent=2).encode() + b"\n")
