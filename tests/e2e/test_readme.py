"""What the README shows works on the sample."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

README = Path(__file__).parents[2] / "README.md"
QUERIES = re.findall(r"```sql\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def demo_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake that `l2liq demo` leaves."""
    lake = tmp_path_factory.mktemp("readme") / "lake"
    done = _l2liq("demo", "--no-open", "--lake", str(lake))
    assert done.returncode == 0, done.stderr
    return lake


def _l2liq(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "l2liq", *arguments], capture_output=True, text=True, check=False
    )


def test_there_are_ten_queries() -> None:
    assert len(QUERIES) == 10


@pytest.mark.parametrize("number", range(1, 11))
def test_query_of_the_readme_finds_rows(demo_lake: Path, number: int) -> None:
    done = _l2liq("query", QUERIES[number - 1], "--format", "csv", "--lake", str(demo_lake))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 1
