"""Compiling Solidity with npm's solc, once: results are kept on disk under the hash of everything that goes in."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tests.evm.paths import CACHE, NODE_MODULES, SOLC, HarnessError, require

_IMPORT = re.compile(r"""^\s*import\s[^;]*?['"]([^'"]+)['"]\s*;""", re.MULTILINE)
_PARTS = ("bytecode.object", "bytecode.linkReferences", "deployedBytecode.object")
_SETTINGS = {
    "optimizer": {"enabled": True, "runs": 200},
    "remappings": ["openzeppelin-contracts/=@openzeppelin/"],
    "outputSelection": {"*": {"*": [f"evm.{part}" for part in _PARTS]}},
}
# solc-js reads imports through callbacks only; a few lines of script feed it the standard JSON that has them all.
_SCRIPT = """
const solc = require(process.argv[1]);
process.stdout.write(solc.compile(require('fs').readFileSync(0, 'utf8')));
"""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled contract: creation code with placeholders for the libraries it is linked with.

    Attributes
    ----------
    code : str
        Creation code, hex without prefix.
    links : tuple[tuple[str, int], ...]
        (library name, byte offset of its 20-byte address in the code).
    runtime : str
        Deployed code, hex without prefix; empty where it was not compiled here.
    """

    name: str
    code: str
    links: tuple[tuple[str, int], ...]
    runtime: str = ""

    @property
    def libraries(self) -> tuple[str, ...]:
        """Names of the libraries that have to exist first."""
        return tuple(dict.fromkeys(library for library, _ in self.links))

    def linked(self, addresses: dict[str, str]) -> bytes:
        """Creation code with the libraries' addresses in place."""
        code = self.code
        for library, offset in self.links:
            code = code[: 2 * offset] + addresses[library][2:] + code[2 * offset + 40 :]
        return bytes.fromhex(code)


def links_of(references: dict[str, dict[str, list[dict[str, int]]]]) -> tuple[tuple[str, int], ...]:
    """Link references as compilers write them, flattened."""
    return tuple(
        (library, place["start"])
        for libraries in references.values()
        for library, places in libraries.items()
        for place in places
    )


def compiled(roots: dict[str, Path], solc: Path = SOLC, evm: str = "shanghai") -> dict[str, Artifact]:
    """All contracts of the given source units and what they import, by contract name.

    Parameters
    ----------
    roots : dict[str, Path]
        Source unit name → file; relative imports are resolved against the unit name.
    solc, evm : Path, str
        Compiler, and the version of the machine that it compiles for.
    """
    sources = _with_imports(roots)
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sorted(sources.items())},
        "settings": {**_SETTINGS, "evmVersion": evm},
    }
    text = json.dumps(request, sort_keys=True)
    version = json.loads(require(solc / "package.json").read_text())["version"]
    kept = CACHE / f"{hashlib.sha256(f'{version}{text}'.encode()).hexdigest()[:32]}.json"
    if not kept.exists():
        _keep(kept, _compile(text, solc))
    return _artifacts(json.loads(kept.read_text()))


def _compile(request: str, solc: Path) -> dict[str, Any]:
    try:
        done = subprocess.run(
            ["node", "-e", _SCRIPT, str(require(solc / "index.js"))],
            input=request, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise HarnessError("Node.js is not installed: the truth tests compile contracts with it") from error
    if done.returncode:
        raise HarnessError(f"solc failed: {done.stderr[-400:].strip()}")
    output: dict[str, Any] = json.loads(done.stdout)
    problems = [entry["formattedMessage"] for entry in output.get("errors", []) if entry["severity"] == "error"]
    if problems:
        raise HarnessError("\n".join(problems[:5]))
    contracts: dict[str, Any] = output["contracts"]
    return contracts


def _keep(target: Path, contracts: dict[str, Any]) -> None:
    """Write so that a parallel run sees either nothing or the whole file."""
    target.parent.mkdir(exist_ok=True)
    unfinished = target.with_suffix(f".{os.getpid()}.tmp")
    unfinished.write_text(json.dumps(contracts))
    unfinished.replace(target)


def _artifacts(contracts: dict[str, Any]) -> dict[str, Artifact]:
    artifacts = {}
    for unit in contracts.values():
        for name, contract in unit.items():
            code = contract["evm"]["bytecode"]
            if code["object"]:
                runtime = contract["evm"]["deployedBytecode"]["object"]
                artifacts[name] = Artifact(name, code["object"], links_of(code["linkReferences"]), runtime)
    return artifacts


def _with_imports(roots: dict[str, Path]) -> dict[str, str]:
    sources: dict[str, str] = {}
    waiting = dict(roots)
    while waiting:
        name, path = waiting.popitem()
        sources[name] = require(path).read_text()
        for target in _IMPORT.findall(sources[name]):
            unit, file = _imported(name, path, target)
            if unit not in sources:
                waiting[unit] = file
    return sources


def _imported(importer: str, importer_file: Path, target: str) -> tuple[str, Path]:
    if target.startswith("."):
        unit = os.path.normpath(PurePosixPath(importer).parent / target)
        return unit, Path(os.path.normpath(importer_file.parent / target))
    target = target.replace("openzeppelin-contracts/", "@openzeppelin/", 1)
    return target, NODE_MODULES / target
