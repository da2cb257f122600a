"""What ``docker compose up`` brings up, held without Docker: pinned, healthy, not root, and no secret that is none."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
EXAMPLE = dict(
    line.split("=", 1) for line in (ROOT / ".env.example").read_text().splitlines() if re.match(r"[A-Z_0-9]+=", line)
)
COMPOSE: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRET = re.compile(r"PASSWORD$|SECRET|KEY|FERNET")
GOOD = "5f0c1d8e7a6b4932"


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    """What the image's entry point makes of an environment."""
    command = [str(ROOT / "docker" / "start"), "echo", "started"]
    return subprocess.run(command, env={"PATH": "/usr/bin:/bin"} | environment, capture_output=True, text=True)


def test_images_are_pinned_and_l2liq_is_one_image() -> None:
    images = {name: one["image"] for name, one in SERVICES.items()}
    for image in images.values():
        assert re.fullmatch(r"[a-z/0-9-]+:.*\d+\.\d+.*|minio/minio:RELEASE\.\d{4}-.*", image), image
    assert {image for name, image in images.items() if name not in ("postgres", "kafka", "objects")} == {"l2liq:0.1.0"}
    parts = ("api-server", "scheduler", "dag-processor", "triggerer")
    assert {f"airflow-{part}" for part in parts} <= set(SERVICES)


def test_whatever_goes_on_tells_whether_it_is_healthy() -> None:
    for name, one in SERVICES.items():
        assert "healthcheck" in one or one["restart"] == "no", name


def test_nothing_starts_before_the_secrets_are_seen() -> None:
    def before(name: str) -> set[str]:
        direct = set(SERVICES[name].get("depends_on", {}))
        return direct.union(*(before(one) for one in direct)) if direct else set()

    for name in SERVICES.keys() - {"secrets"}:
        assert "secrets" in before(name), name
    assert "depends_on" not in SERVICES["secrets"]


def test_every_secret_comes_from_the_environment_and_is_checked() -> None:
    checked = set(SERVICES["secrets"]["environment"]["L2LIQ_SECRETS"].split())
    sources = set()
    for name, one in SERVICES.items():
        for key, value in one.get("environment", {}).items():
            if SECRET.search(key) and key not in ("L2LIQ_SECRETS",) and not key.endswith("_FILE"):
                found = re.fullmatch(r"\$\{([A-Z0-9_]+):\?[^}]+\}", str(value))
                assert found, f"{name}: {key} does not come from .env"
                sources.add(found[1])
                if one["image"].startswith("l2liq"):
                    assert key in checked, key
    assert sources == {key for key, value in EXAMPLE.items() if value == "CHANGE-ME"}


def test_every_variable_is_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"\$\{([A-Z0-9_]+)", text)) <= set(EXAMPLE)


@pytest.mark.parametrize("value", ["", "CHANGE-ME", "change-me-please-now", "placeholder-value", "short"])
def test_start_refuses_what_is_no_secret(value: str) -> None:
    done = start(L2LIQ_SECRETS="ONE TWO", ONE=GOOD, TWO=value)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("start: TWO ")
    assert value == "" or value not in done.stderr


def test_start_runs_the_command_once_every_secret_is_one() -> None:
    done = start(L2LIQ_SECRETS="ONE TWO", ONE=GOOD, TWO=GOOD[::-1])
    assert (done.returncode, done.stdout, done.stderr) == (0, "started\n", "")


def test_image_is_pinned_and_not_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert all(re.match(r"FROM python:3\.\d+\.\d+-slim-\w+( AS \w+)?$", one) for one in lines if one.startswith("FROM"))
    assert "USER l2liq" in lines
    assert any(one.startswith("HEALTHCHECK") for one in lines)
    copied = [word for one in lines if one.startswith("COPY") and "--from" not in one for word in one.split()[1:-1]]
    assert [one for one in copied if not (ROOT / one).exists()] == []


def test_what_the_image_installs_is_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = dict(
        line.split("==") for line in (ROOT / "docker" / "constraints.txt").read_text().splitlines() if "==" in line
    )
    versions = {canonicalize_name(name.split("[")[0]): version.split()[0] for name, version in pinned.items()}
    extras = project["optional-dependencies"]
    for text in [*project["dependencies"], *(one for group in extras.values() for one in group)]:
        wanted = Requirement(text)
        assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), text
    assert "://" not in (ROOT / "docker" / "constraints.txt").read_text()


def test_compose_itself_agrees_where_it_is_installed(tmp_path: Path) -> None:
    """Without the plugin the tests above are what there is."""
    filled = tmp_path / "env"
    filled.write_text("".join(f"{key}={GOOD if value == 'CHANGE-ME' else value}\n" for key, value in EXAMPLE.items()))
    try:
        present = subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
    except FileNotFoundError:
        present = False
    if present:
        command = ["docker", "compose", "--env-file", str(filled), "config", "--quiet"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
