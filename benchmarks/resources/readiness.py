"""How long each StreamHub process takes to be of use after it was started.

The API is when it answers over HTTP. A worker is when every consumer group of its roles has taken
in the new process and shared out its partitions.
"""

from __future__ import annotations

import time

from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from infra.app_processes import PROCESSES
from infra.kafka.command_log import GROUP as COMMANDS_GROUP
from infra.supervisor.client import SupervisorClient

API = "api"
_TIMEOUT_S = 180.0
_POLL_S = 0.05
_PROJECTION_GROUPS = "streamhub-projections-"

#: Consumer group -> ids of its members; a started process has new ones.
Members = dict[str, frozenset[str]]


class NotReady(RuntimeError):
    """A process did not become of use in time."""


class Groups:
    """The consumer groups of a broker."""

    def __init__(self, bootstrap: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap})

    def members(self, process: str) -> Members:
        """Return the members of the groups of a process that are at work."""
        listed = self._admin.list_consumer_groups().result().valid
        names = [group.group_id for group in listed if process_of(group.group_id) == process]
        if not names:
            return {}
        described = self._admin.describe_consumer_groups(names)
        groups = [future.result() for future in described.values()]
        return {
            group.group_id: frozenset(member.member_id for member in group.members)
            for group in groups
            if group.state == ConsumerGroupState.STABLE
        }


def process_of(group: str) -> str:
    """Return the process that works for a consumer group."""
    if group == COMMANDS_GROUP:
        return "commands"
    return "projections" if group.startswith(_PROJECTION_GROUPS) else "processors"


def ready_seconds(supervisor: SupervisorClient, bootstrap: str) -> dict[str, float]:
    """Start each process anew while the others rest on; return process -> seconds."""
    groups = Groups(bootstrap)
    found = {API: _api_seconds(supervisor)}
    for process in PROCESSES:
        found[process.name] = _worker_seconds(supervisor, groups, process.name)
    return found


def _api_seconds(supervisor: SupervisorClient) -> float:
    supervisor.stop(API)
    started = time.perf_counter()
    supervisor.restart(API)
    supervisor.wait_ready([API], _TIMEOUT_S, lambda _name: None)
    return time.perf_counter() - started


def _worker_seconds(supervisor: SupervisorClient, groups: Groups, name: str) -> float:
    before = wait_for_members(groups, name, {})
    supervisor.stop(name)
    started = time.perf_counter()
    supervisor.restart(name)
    wait_for_members(groups, name, before)
    return time.perf_counter() - started


def wait_for_members(groups: Groups, process: str, before: Members) -> Members:
    """Wait until each group of a process works with members that were not there before.

    Raises:
        NotReady: it takes too long.
    """
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        now = groups.members(process)
        if now and now.keys() >= before.keys() and _all_new(now, before):
            return now
        time.sleep(_POLL_S)
    raise NotReady(f"{process} did not take up its work within {_TIMEOUT_S:g} s")


def _all_new(now: Members, before: Members) -> bool:
    return all(
        members and not members & before.get(name, frozenset()) for name, members in now.items()
    )
