"""What ``docker compose up`` brings up, held without Docker: pinned, healthy, not root, and no secret that is none."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
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
FERNET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PLACEHOLDERS = {name for name, value in EXAMPLE.items() if value == "CHANGE-ME"}
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("l2liq:")}
DOCKERFILE = (ROOT / "Dockerfile").read_text().splitlines()
COPIED = [word for one in DOCKERFILE if re.match("COPY (?!--from)", one) for word in one.split()[1:-1]]


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
    """Each is the whole of a variable, never part of an address that a log may show."""
    pairs = SERVICES["secrets"]["environment"]["L2LIQ_SECRETS"].split()
    checked = {key: known or key for key, _, known in (pair.partition(":") for pair in pairs)}
    sources = set()
    for name, one in SERVICES.items():
        for key, value in one.get("environment", {}).items():
            secret = SECRET.search(key) and key != "L2LIQ_SECRETS" and not key.endswith("_FILE")
            if secret or PLACEHOLDERS & set(re.findall(r"\$\{([A-Z0-9_]+)", str(value))):
                found = re.fullmatch(r"\$\{([A-Z0-9_]+):\?[^}]+\}", str(value))
                assert found, f"{name}: {key} is not a secret of .env"
                sources.add(found[1])
                assert name not in OURS or checked[key] == found[1], key
    assert sources == PLACEHOLDERS


def test_every_variable_is_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"\$\{([A-Z0-9_]+)", text)) <= set(EXAMPLE)


@pytest.mark.parametrize(
    "known, value",
    [("IT", one) for one in ("", "CHANGE-ME", "change-me-please-now", "placeholder-value", "short")]
    + [("FERNET_KEY", 3 * GOOD)],
)
def test_start_refuses_what_is_no_secret_by_the_name_that_the_file_has(known: str, value: str) -> None:
    done = start(L2LIQ_SECRETS=f"ONE TWO:{known}", ONE=GOOD, TWO=value)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"start: {known} ") and done.stderr.count("\n") == 1
    assert value == "" or value not in done.stderr


def test_start_runs_the_command_once_every_secret_is_one() -> None:
    done = start(L2LIQ_SECRETS="ONE TWO:FERNET_KEY", ONE=GOOD, TWO=FERNET)
    assert (done.returncode, done.stdout, done.stderr) == (0, "started\n", "")


def test_image_is_pinned_and_not_root() -> None:
    bases = [one for one in DOCKERFILE if one.startswith("FROM")]
    assert all(re.match(r"FROM python:3\.\d+\.\d+-slim-\w+( AS \w+)?$", one) for one in bases)
    assert "USER l2liq" in DOCKERFILE
    assert any(one.startswith("HEALTHCHECK") for one in DOCKERFILE)


def test_build_is_sent_what_it_copies_and_nothing_else() -> None:
    assert [one for one in COPIED if not (ROOT / one).exists()] == []
    rules = (ROOT / ".dockerignore").read_text().splitlines()[1:]
    assert rules[0] == "*"
    assert {one[1:] for one in rules if one.startswith("!")} == {one.split("/")[0] for one in COPIED}


def test_the_user_owns_the_volumes_and_nothing_else_of_the_image() -> None:
    """A fresh volume takes its owner from the image; folders of the host are only read."""
    mounts = [one for service in OURS.values() for one in service.get("volumes", ())]
    named = {one.split(":")[1] for one in mounts if one.split(":")[0] in COMPOSE["volumes"]}
    assert all(one.endswith(":ro") for one in mounts if one.split(":")[0] not in COMPOSE["volumes"])
    owned = [found[1].split() for one in DOCKERFILE if (found := re.search("install -d -o l2liq -g l2liq (.+)", one))]
    assert [set(one) for one in owned] == [named]
    assert not any("--chown" in one for one in DOCKERFILE)


AIRFLOW = """
import json, sys
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
commands, settings = json.load(sys.stdin)
for command in commands:
    get_parser().parse_args(command)
known = conf.configuration_description
print(*(one for one in settings if one[1] not in known.get(one[0], {"options": {}})["options"]))
"""


def test_airflow_knows_every_command_check_and_setting(tmp_path: Path) -> None:
    """Its own parser and its own list of options say so."""
    words = [one["command"] for one in OURS.values()]
    words += [shlex.split(one["healthcheck"]["test"][1]) for one in OURS.values() if "healthcheck" in one]
    words += map(shlex.split, re.findall("^airflow .+", (ROOT / "docker" / "airflow-init").read_text(), re.MULTILINE))
    commands = [[re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in one[1:]] for one in words if one[0] == "airflow"]
    assert len(commands) == 9, "four parts, three checks, two steps of the preparation"
    text = (ROOT / "docker-compose.yml").read_text() + "\n".join(DOCKERFILE)
    settings = [found.lower().split("__")[1:] for found in set(re.findall(r"\bAIRFLOW__\w+(?=[:=])", text))]
    done = subprocess.run(
        [sys.executable, "-c", AIRFLOW], input=json.dumps([commands, settings]), capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_what_the_image_installs_is_all_that_the_project_asks_for() -> None:
    """Pip adds nothing to the list: what each package needs is there too, as far as these very versions are at hand."""
    lines = (ROOT / "docker" / "constraints.txt").read_text().splitlines()
    assert [one for one in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.]+", one)] == []
    pins = dict(one.split("==") for one in lines)
    needs = {canonicalize_name(one.name): one.requires or [] for one in distributions()
             if pins.get(canonicalize_name(one.name)) == one.version}  # fmt: skip
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = project["project"]["dependencies"] + project["build-system"]["requires"]
    asked += [one for group in project["project"]["optional-dependencies"].values() for one in group]
    asked += re.findall("^[a-z].*", (ROOT / "docker" / "image.in").read_text(), re.MULTILINE)
    image = {"python_version": "3.12", "python_full_version": "3.12.11", "sys_platform": "linux"}
    open_questions = [("l2liq", Requirement(one)) for one in asked]
    seen = set()
    while open_questions:
        who, wanted = open_questions.pop()
        name = canonicalize_name(wanted.name)
        assert name in pins and wanted.specifier.contains(pins[name]), f"{who} asks for {wanted}, not {pins.get(name)}"
        if (name, *wanted.extras) not in seen:
            seen.add((name, *wanted.extras))
            for more in map(Requirement, needs.get(name, [])):
                environments = [image | {"extra": extra} for extra in ("", *wanted.extras)]
                if more.marker is None or any(map(more.marker.evaluate, environments)):
                    open_questions.append((name, more))


def test_compose_itself_agrees_where_it_is_installed(tmp_path: Path) -> None:
    """Without the plugin the tests above are what there is."""
    try:
        present = subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
    except FileNotFoundError:
        present = False
    if not present:
        return

    def config(**more: str) -> subprocess.CompletedProcess[str]:
        lines = {key: more.get(key, GOOD if key in PLACEHOLDERS else value) for key, value in EXAMPLE.items()}
        path = tmp_path / "env"
        path.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        command = ["docker", "compose", "--env-file", str(path), "--profile", "tools", "config", "--format", "json"]
        kept = {key: value for key, value in os.environ.items() if key not in EXAMPLE}
        return subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True)

    done = config()
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["services"].keys() == SERVICES.keys()
    for name in PLACEHOLDERS:
        done = config(**{name: ""})
        assert done.returncode != 0 and f"{name} is missing a value: copy .env.example to .env" in done.stderr
