"""The command line on a lake in an object store, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.cli import MARKET, Said, ingesting, l2liq, quick
from tests.s3 import SECRET, running_server

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("s3")]


def test_the_main_job_works_in_a_bucket_and_again_from_another_machine(tmp_path: Path) -> None:
    (tmp_path / "quick.yaml").write_text(quick())
    with running_server() as server:
        place = f"s3://{server.bucket()}/team/lake"

        def said(*words: object, machine: str = "one") -> Said:
            found = l2liq(*words, "--lake", place, folder=tmp_path, env=server.environment(tmp_path / machine))
            assert SECRET not in found.out + found.err
            return found

        assert "Sealed 8 cells" in said(*ingesting()).out
        assert said("check", "--market", MARKET, machine="two").code == 0
        assert said("backtest", tmp_path / "quick.yaml").code == 0
        run = json.loads(said("runs", "--json", machine="three").out)[0]["run_id"]
        page = Path(said("report", "--index", machine="three").out.strip())
        assert page.is_relative_to(tmp_path / "three")
        assert (page.parent / run / "report.html").is_file(), "the index links pages that are there"
        counted = said("query", "SELECT count(*) AS n FROM outcomes", "--json", machine="three")
        assert json.loads(counted.out)[0]["n"] > 100
        assert json.loads(said("status", "--json", machine="four").out)["lake"] == place
        assert json.loads(said("quarantine", "list", "--json").out) == []
        assert "Everything was there already" in said(*ingesting(), machine="five").out
        assert not list(tmp_path.glob("s3*")), "nothing of it lies in the working directory"
