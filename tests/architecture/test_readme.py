"""What the documents say is so: commands, routes, links, names, and where guarantees are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase
from typer.main import get_command

from infra import metrics
from infra.app_processes import PROCESSES
from infra.cli.main import app as cli
from infra.http.app import create_app
from infra.native.catalogue import SERVERS
from infra.settings import Settings
from infra.worker import Role
from projections.registry import PROJECTIONS
from schemas.catalogue import topics

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
OPERATIONS = ROOT / "docs" / "operations.md"
DECISIONS = sorted((ROOT / "docs" / "adr").glob("*.md"))
DOCUMENTS = [README, ROOT / "CHANGELOG.md", ARCHITECTURE, OPERATIONS, *DECISIONS]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")


def name_of(path: Path) -> str:
    return path.name


def blocks(path: Path) -> list[str]:
    return [body for _, body in FENCE.findall(path.read_text())]


def words(path: Path) -> list[str]:
    """Return what stands in backquotes outside of blocks."""
    return CODE.findall(FENCE.sub("", path.read_text()))


def section(path: Path, title: str) -> str:
    """Return what stands under a heading, up to the next one of its level."""
    _, _, rest = path.read_text().partition(f"\n## {title}\n")
    assert rest, f"{path.name} has no section '{title}'"
    return rest.partition("\n## ")[0]


def first_column(text: str) -> list[str]:
    """Return the names in backquotes that stand in the first cells of a text's tables."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return [name for cell in rows for name in CODE.findall(cell)]


def test_the_readme_begins_with_the_two_commands() -> None:
    commands = [line.partition("#")[0].strip() for line in blocks(README)[0].splitlines()]
    assert commands == ["make up", "make test"]
    assert len(README.read_text().partition("```")[0].split()) <= 2


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_make_targets_exist(document: Path) -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join([*blocks(document), *words(document)])
    used = set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE))
    assert used <= known, used - known


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_exist(document: Path) -> None:
    known = set(_commands())
    for used in [*words(document), *"\n".join(blocks(document)).splitlines()]:
        found = re.match(r"(?:\.venv/bin/)?streamhub ([a-z-]+)(?: ([a-z-]+))?", used)
        if found:
            whole = " ".join(part for part in found.groups() if part)
            assert whole in known or found.group(1) in known, used


def _commands() -> Iterator[str]:
    for name, command in vars(get_command(cli))["commands"].items():
        children = vars(command).get("commands", {})
        if not children:
            yield name
        yield from (f"{name} {child}" for child in children)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_settings_exist(document: Path) -> None:
    known = {f"STREAMHUB_{name}".upper() for name in Settings.model_fields}
    known.add("STREAMHUB_TEST_DATA_DIR")
    used = set(re.findall(r"STREAMHUB_[A-Z_0-9]+", document.read_text()))
    assert used <= known, used - known


@cache
def _routes() -> set[tuple[str, str]]:
    """Return method and path of every route, parameters without their names."""
    schema = create_app(Settings()).openapi()["paths"]
    return {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path))
        for path, methods in schema.items()
        for method in methods
    }


def test_the_calls_of_the_readme_are_routes() -> None:
    routes = _routes()
    script = next(block for block in blocks(README) if block.startswith("API="))
    calls = re.findall(r"curl -s(?: -D \S+)?(?: -X (\w+))? \$API(/\S+)", script)
    assert len(calls) == 5
    for method, path in calls:
        place = "/api/v1" + re.sub(r"\$\w+", "{}", path)
        assert (method or "GET", place) in routes, path


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_routes_that_are_named_exist(document: Path) -> None:
    routes = _routes()
    named = [re.match(r"(GET|POST|PUT|DELETE) (/\S+)$", word) for word in words(document)]
    for found in filter(None, named):
        path = re.sub(r"\{\w+\}", "{}", found.group(2))
        path = path if path.startswith("/api/v1") else f"/api/v1{path}"
        assert (found.group(1), path) in routes, found.group(0)


def test_every_process_and_server_has_its_line() -> None:
    names = first_column(section(README, "What runs"))
    assert names == ["api", *(process.name for process in PROCESSES), *SERVERS]


def test_every_role_has_its_line() -> None:
    assert set(first_column(section(OPERATIONS, "Processes and roles"))) == set(Role)


def test_every_metric_has_its_line() -> None:
    described = [
        family
        for metric in vars(metrics).values()
        if isinstance(metric, MetricWrapperBase)
        for family in metric.describe()
    ]
    exported = {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in described
    }
    rows = [line.split("|") for line in section(OPERATIONS, "Metrics").splitlines()]
    named = [(CODE.findall(row[1]), row[2].strip()) for row in rows if len(row) > 3]
    assert {names[0]: kind for names, kind in named if names} == exported


def test_every_logged_event_that_is_named_exists() -> None:
    sources = "\n".join(
        path.read_text()
        for package in ("commands", "infra", "processors", "projections", "query_api")
        for path in (ROOT / package).rglob("*.py")
    )
    for name in first_column(section(OPERATIONS, "Logs")):
        assert f'"{name}"' in sources, name


def test_every_projection_has_its_line() -> None:
    assert first_column(section(ARCHITECTURE, "Projections")) == [
        projection.name for projection in PROJECTIONS
    ]


def test_every_topic_has_its_line() -> None:
    named = set(first_column(section(ARCHITECTURE, "The log"))[:5])
    assert named == {re.sub(r"\..*", ".<domain>", topic.name) for topic in topics()}


def test_every_guarantee_says_where_it_is_kept() -> None:
    text = ARCHITECTURE.read_text()
    rows = dict(re.findall(r"^\| ([WR]\d) \| (.+) \|$", text, re.MULTILINE))
    assert sorted(rows) == [*(f"R{n}" for n in range(1, 7)), *(f"W{n}" for n in range(1, 8))]
    for name, row in rows.items():
        assert re.search(r"`[a-z_/]+\.(py|lua)", row), name


def test_places_in_the_code_exist() -> None:
    places = [re.match(r"([\w/]+\.(?:py|lua))(?:::(\w+))?$", word) for word in words(ARCHITECTURE)]
    found = [place.groups() for place in places if place]
    assert len(found) > 20
    for file, name in found:
        source = (ROOT / file).read_text()
        assert name is None or re.search(rf"(def|class) {name}\b", source), f"{file}::{name}"


def test_decisions_are_numbered_and_have_one_form() -> None:
    assert [path.name[:4] for path in DECISIONS] == [
        f"{number:04}" for number in range(1, len(DECISIONS) + 1)
    ]
    for number, path in enumerate(DECISIONS, start=1):
        text = path.read_text()
        assert text.startswith(f"# {number}. "), path.name
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], path.name


def test_the_changelog_has_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)[0] == "Unreleased"
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= kinds
