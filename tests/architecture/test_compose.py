"""The container files agree with the code: settings, roles, files, secrets, health."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from infra.docker import health
from infra.settings import Settings
from infra.worker import Role, expand

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "infra" / "docker" / "Dockerfile"
PREFIX = "STREAMHUB_"
REQUIRED = re.compile(r"\$\{([A-Z0-9_]+):\?[^}]*\}")
WITH_DEFAULT = re.compile(r"\$\{([A-Z0-9_]+):-([^}]*)\}")
SECRET_NAME = re.compile(r"PASSWORD|SECRET|AUTH$|MASTER_KEY|ROOT_USER")
VALUE = "0123456789abcdef0123456789abcdef"

Service = Mapping[str, Any]


@pytest.fixture(scope="module")
def services() -> Mapping[str, Service]:
    found: Mapping[str, Service] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def jobs(services: Mapping[str, Service]) -> set[str]:
    """Return the services that others wait for until they have ended."""
    return {
        name
        for service in services.values()
        for name, wish in service.get("depends_on", {}).items()
        if wish["condition"] == "service_completed_successfully"
    }


def ours(services: Mapping[str, Service]) -> dict[str, Service]:
    return {name: s for name, s in services.items() if "STREAMHUB_ENVIRONMENT" in _environment(s)}


def _environment(service: Service) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def _interpolate(text: str) -> str:
    return WITH_DEFAULT.sub(r"\2", REQUIRED.sub(VALUE, text)).replace("$$", "$")


def required_variables() -> set[str]:
    return set(REQUIRED.findall(COMPOSE.read_text()))


def test_the_docker_client_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], check=False).returncode:
        pytest.skip("no docker client with compose on this machine")
    environment = {**os.environ, **dict.fromkeys(required_variables(), VALUE)}
    command = [docker, "compose", "-f", str(COMPOSE), "config", "-q"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_service_has_an_image_a_restart_policy_and_a_health_check(
    services: Mapping[str, Service],
) -> None:
    for name, service in services.items():
        image = service.get("image", "")
        assert ":" in image, f"{name} pins no version of its image"
        assert "." not in image.rpartition("/")[0], f"{name} names a registry host"
        assert service.get("restart") in {"unless-stopped", "on-failure"}, name
        assert (service["restart"] == "on-failure") == (name in jobs(services)), name
        assert "healthcheck" in service or name in jobs(services), name


def test_every_store_and_broker_keeps_its_data_in_a_named_volume(
    services: Mapping[str, Service],
) -> None:
    volumes = set(yaml.safe_load(COMPOSE.read_text())["volumes"])
    mounted = {
        volume.partition(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    assert mounted == volumes
    assert volumes >= {"kafka-1", "kafka-2", "kafka-3", "postgres", "minio"}


def test_dependencies_name_services_that_exist(services: Mapping[str, Service]) -> None:
    for name, service in services.items():
        for other, wish in service.get("depends_on", {}).items():
            assert other in services, f"{name} waits for {other}"
            if wish["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for {other} for ever"


def test_secrets_come_from_the_environment_without_a_default(
    services: Mapping[str, Service],
) -> None:
    for name, service in services.items():
        for variable, value in _environment(service).items():
            if SECRET_NAME.search(variable):
                assert REQUIRED.match(value), f"{name}: {variable}"
            credentials = re.search(r"://([^/@]+)@", value)
            if credentials:
                assert REQUIRED.sub("", credentials.group(1)).endswith(":"), f"{name}: {variable}"


def test_every_variable_is_a_setting(services: Mapping[str, Service]) -> None:
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    used = {name for s in services.values() for name in _environment(s) if name.startswith(PREFIX)}
    used |= set(re.findall(r"STREAMHUB_[A-Z_]+", DOCKERFILE.read_text()))
    assert used <= known, used - known


def test_settings_accept_what_each_service_is_given(
    services: Mapping[str, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [variable for variable in os.environ if variable.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for service in ours(services).values():
        with monkeypatch.context() as inside:
            for name, value in _environment(service).items():
                inside.setenv(name, _interpolate(value))
            settings = Settings()
        assert not settings.is_native
        assert settings.replication == 3
        assert settings.min_insync_replicas == 2


def test_every_role_has_a_worker_and_every_command_worker_a_slot(
    services: Mapping[str, Service],
) -> None:
    workers = {
        name: [Role(role) for role in service["command"][1:]]
        for name, service in services.items()
        if service.get("command", [""])[0] == "worker"
    }
    covered = {role for roles in workers.values() for role in expand(roles)}
    assert covered == expand(list(Role))
    deciding = [name for name, roles in workers.items() if Role.COMMANDS in expand(roles)]
    slots = [_environment(services[name]).get("STREAMHUB_WORKER_SLOT") for name in deciding]
    assert None not in slots
    assert len(set(slots)) == len(slots) > 1
    assert all("deploy" not in services[name] for name in deciding)


def test_brokers_tolerate_the_loss_of_one(services: Mapping[str, Service]) -> None:
    brokers = [s for s in services.values() if s["image"].startswith("apache/kafka")]
    nodes = {_environment(broker)["KAFKA_NODE_ID"] for broker in brokers}
    assert nodes == {"1", "2", "3"}
    for broker in brokers:
        environment = _environment(broker)
        assert environment["KAFKA_MIN_INSYNC_REPLICAS"] == "2"
        assert environment["KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR"] == "3"
        assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_what_the_files_name_exists(services: Mapping[str, Service]) -> None:
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), source
        build = service.get("build")
        assert build is None or (ROOT / build["context"] / build["dockerfile"]).is_file()
    for line in DOCKERFILE.read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source


def test_the_image_is_not_root_and_takes_locked_packages_only() -> None:
    text = DOCKERFILE.read_text().replace("\\\n", "")
    assert re.findall(r"^USER (\S+)$", text.rpartition("\nFROM ")[2], re.MULTILINE) == ["streamhub"]
    installs = re.findall(r"pip install[^&\n]*", text)
    assert len(installs) == 4
    for install in installs:
        assert "--no-deps" in install
        assert "--require-hashes" in install or "--offline" in install


def test_operators_are_told_of_every_variable_that_must_be_set() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text()
    missing = {name for name in required_variables() if f"`{name}`" not in operations}
    assert not missing


@pytest.fixture
def api_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A server whose health is the status that the test asks for."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(("api_port", "works"), [(200, True), (503, False)], indirect=["api_port"])
def test_an_api_works_while_its_health_says_so(api_port: int, works: bool) -> None:
    assert health.api_works(Settings(port=api_port)) is works


def test_nothing_that_is_away_works() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert not health.api_works(Settings(port=port))
        assert not health.worker_works(Settings(kafka_bootstrap=f"127.0.0.1:{port}"))


def test_a_worker_works_while_it_is_connected_to_a_broker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as broker:
        port = broker.getsockname()[1]
        settings = Settings(kafka_bootstrap=f"127.0.0.1:1,127.0.0.1:{port}")
        assert not health.worker_works(settings)
        with socket.create_connection(("127.0.0.1", port)):
            assert health.worker_works(settings)


def test_a_health_check_of_something_unknown_is_wrong_usage() -> None:
    assert health.main(["kettle"]) == 2
    assert health.main([]) == 2
