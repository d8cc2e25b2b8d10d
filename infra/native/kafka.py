"""Kafka: one node that is broker and controller (KRaft)."""

from __future__ import annotations

import base64
import shutil
import signal
import uuid
from pathlib import Path

from infra.native.commands import run
from infra.native.jar_sets import fetch_jars
from infra.native.java import java_argv, java_environment, java_tool_argv, write_properties
from infra.native.place import Place, PreparedServer
from infra.native.ports import HOST
from infra.supervisor.spec import Check, ProcessSpec

BROKER_PORT = 9092
CONTROLLER_PORT = 9093
INTERNAL_PARTITIONS = 8
# What coordinators read when they start. Each transaction leaves two or three records there, which
# are only compacted away in segments that are full, and markers that stay for a day by default.
SMALL_STATE = {
    "offsets.topic.segment.bytes": 1 << 20,
    "transaction.state.log.segment.bytes": 1 << 20,
    "log.cleaner.delete.retention.ms": 60_000,
}

LOG_FLAGS = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)


def prepare_kafka(place: Place) -> PreparedServer:
    """Fetch, configure and format a broker. Topics are never created by mere use."""
    class_path = fetch_jars("kafka", place.cache_dir, place.progress)
    environment = java_environment(class_path)
    broker = place.port("", BROKER_PORT)
    controller = place.port("controller", CONTROLLER_PORT)
    config = place.folder / "server.properties"
    data = place.folder / "data"
    write_properties(config, _properties(broker, controller, data))
    if not (data / "meta.properties").exists():
        place.progress("formatting the log folder")
        _format(place.folder, environment, _properties(broker, controller, data))
    spec = ProcessSpec(
        name="kafka",
        argv=java_argv(place, class_path, LOG_FLAGS, ("kafka.Kafka", str(config))),
        log_file=place.log_file,
        env=environment,
        cwd=place.folder,
        ready_check=Check("kafka", HOST, broker),
        alive_check=Check("kafka_groups", HOST, broker, {"partitions": str(INTERNAL_PARTITIONS)}),
        stop_signal=signal.SIGTERM,
        stop_timeout_s=20.0,
    )
    return PreparedServer(f"{HOST}:{broker}", spec)


def _properties(broker: int, controller: int, data: Path) -> dict[str, str | int]:
    listener = f"BROKER://{HOST}:{broker}"
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listeners": f"{listener},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": listener,
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        # One node: every internal topic has one replica, and a group need not wait for company.
        "offsets.topic.num.partitions": INTERNAL_PARTITIONS,
        "offsets.topic.replication.factor": 1,
        **SMALL_STATE,
        "transaction.state.log.num.partitions": INTERNAL_PARTITIONS,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "group.initial.rebalance.delay.ms": 0,
        # A transaction may follow on the heels of another, whose markers take a millisecond or two.
        "add.partitions.to.txn.retry.backoff.ms": 2,
        # A broker that was killed may come back once its old session has ended. A shorter one ends
        # on a busy machine as well, and costs every partition its leader for a moment.
        "broker.heartbeat.interval.ms": 500,
        "broker.session.timeout.ms": 6000,
        # Threads and buffers for a machine of few cores; the cleaner's default alone is 128 MiB.
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "group.coordinator.threads": 1,
        "num.recovery.threads.per.data.dir": 2,
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        "log.cleaner.io.buffer.size": 128 * 1024,
    }


def _cluster_id() -> str:
    """Return an id in Kafka's own form; as Kafka does, none that looks like an option."""
    while True:
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not name.startswith("-"):
            return name


def _format(folder: Path, environment: dict[str, str], properties: dict[str, str | int]) -> None:
    """Write the identity of a new log beside its place, then move it there in one step."""
    fresh = folder / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    config = folder / "format.properties"
    write_properties(config, {**properties, "log.dirs": str(fresh)})
    options = ("--cluster-id", _cluster_id(), "--config", str(config))
    tool = ("kafka.tools.StorageTool", "format", *options)
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    run(java_tool_argv((quiet, *tool)), folder, environment)
    config.unlink()
    shutil.rmtree(folder / "data", ignore_errors=True)
    fresh.rename(folder / "data")
