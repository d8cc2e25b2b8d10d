"""The supervisor with small processes: it restarts, adopts, gives up, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.supervisor.client import (
    ProcessStartError,
    ProcessStatus,
    SupervisorClient,
    SupervisorUnavailable,
)
from infra.supervisor.logs import cap_log, older_log
from infra.supervisor.paths import SupervisorPaths
from infra.supervisor.spec import Check, ProcessSpec
from tests.native.waiting import eventually

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    " print('up', flush=True); time.sleep(600)"
)
FAMILY = (
    "import subprocess, sys, time;"
    " print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid,"
    " flush=True); time.sleep(600)"
)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[SupervisorClient]:
    """Give a supervisor of its own to a test, and take it away afterwards."""
    client = SupervisorClient(tmp_path)
    client.ensure_running()
    yield client
    if client.left_behind():
        client.ensure_running()
    client.shutdown()


def spec_of(folder: Path, name: str, code: str = SLEEPER, **fields: object) -> ProcessSpec:
    spec = {
        "name": name,
        "argv": (sys.executable, "-c", code),
        "log_file": folder / f"{name}.log",
        **fields,
    }
    return ProcessSpec(**spec)  # type: ignore[arg-type]


def status_of(client: SupervisorClient, name: str) -> ProcessStatus:
    return next(process for process in client.status() if process.name == name)


def pid_of(client: SupervisorClient, name: str) -> int:
    pid = status_of(client, name).pid
    assert pid is not None
    return pid


def start(client: SupervisorClient, spec: ProcessSpec) -> int:
    client.add("servers", [spec])
    client.wait_ready([spec.name], 20.0, lambda _: None)
    return pid_of(client, spec.name)


def supervisor_pid(client: SupervisorClient) -> int:
    pid = client.request("status")["pid"]
    assert isinstance(pid, int)
    return pid


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_specs_survive_their_journey_as_json(tmp_path: Path) -> None:
    check = Check("http", "127.0.0.1", 1, {"path": "/ping"})
    spec = spec_of(
        tmp_path, "a", ready_check=check, alive_check=check, cwd=tmp_path, depends_on=("b",)
    )
    assert ProcessSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_killed_process_is_back_at_once(client: SupervisorClient, tmp_path: Path) -> None:
    first = start(client, spec_of(tmp_path, "a"))
    os.kill(first, signal.SIGKILL)
    eventually(lambda: status_of(client, "a").restarts == 1, 5.0)
    client.wait_ready(["a"], 5.0, lambda _: None)
    status = status_of(client, "a")
    assert status.pid != first
    assert status.last_exit == "killed by SIGKILL"


def test_children_of_a_killed_process_do_not_outlive_it(
    client: SupervisorClient, tmp_path: Path
) -> None:
    parent = start(client, spec_of(tmp_path, "a", FAMILY))
    log = tmp_path / "a.log"
    eventually(lambda: log.read_text() != "")
    child = int(log.read_text().split()[0])
    os.kill(parent, signal.SIGKILL)
    eventually(lambda: is_gone(child))


def test_what_never_gets_ready_fails_with_the_tail_of_its_log(
    client: SupervisorClient, tmp_path: Path
) -> None:
    broken = spec_of(tmp_path, "a", "raise SystemExit('no such setting: colour')")
    # Never ready: nobody listens on port 1.
    client.add("servers", [broken_with_check(broken)])
    with pytest.raises(ProcessStartError) as failure:
        client.wait_ready(["a"], 20.0, lambda _: None)
    assert "no such setting: colour" in str(failure.value)
    assert status_of(client, "a").state == "failed"


def broken_with_check(spec: ProcessSpec) -> ProcessSpec:
    data = spec.to_json()
    data["ready_check"] = {"kind": "tcp", "host": "127.0.0.1", "port": 1, "options": {}}
    return ProcessSpec.from_json(data)


def test_a_process_that_is_to_stand_back_does_and_so_does_its_session(
    client: SupervisorClient, tmp_path: Path
) -> None:
    pid = start(client, spec_of(tmp_path, "a", niceness=7))
    other = start(client, spec_of(tmp_path, "b"))
    own = os.getpriority(os.PRIO_PROCESS, other)
    assert os.getpriority(os.PRIO_PROCESS, pid) == 7 > own
    session = Path(f"/proc/{pid}/autogroup")
    if session.exists():
        assert session.read_text().split()[-1] == "7"


def test_a_program_that_does_not_exist_fails_and_says_so(
    client: SupervisorClient, tmp_path: Path
) -> None:
    spec = ProcessSpec("a", ("/nowhere/program",), tmp_path / "a.log")
    client.add("servers", [spec])
    with pytest.raises(ProcessStartError, match="cannot be started"):
        client.wait_ready(["a"], 20.0, lambda _: None)


def test_a_process_that_is_never_ready_in_its_time_is_ended(
    client: SupervisorClient, tmp_path: Path
) -> None:
    check = Check("tcp", "127.0.0.1", 1)
    client.add("servers", [spec_of(tmp_path, "a", ready_check=check, start_timeout_s=0.3)])
    with pytest.raises(ProcessStartError, match="not ready within"):
        client.wait_ready(["a"], 20.0, lambda _: None)


def test_a_process_that_runs_but_no_longer_serves_is_started_again(
    client: SupervisorClient, tmp_path: Path
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        check = Check("tcp", "127.0.0.1", listener.getsockname()[1])
        spec = spec_of(tmp_path, "a", alive_check=check, alive_timeout_s=1.0)
        first = start(client, spec)
        time.sleep(2.0)
        assert pid_of(client, "a") == first
    eventually(lambda: "Connection refused for 1 s" in status_of(client, "a").last_exit, 10.0)
    assert is_gone(first)
    assert status_of(client, "a").restarts >= 1


def test_back_off_grows(client: SupervisorClient, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "a", "pass")  # Without a check it is ready as soon as it runs.
    client.add("servers", [spec])
    eventually(lambda: status_of(client, "a").restarts >= 3)
    assert status_of(client, "a").restarts < 10
    assert status_of(client, "a").last_exit == "exit code 0"


def test_a_process_that_may_end_is_not_restarted(client: SupervisorClient, tmp_path: Path) -> None:
    client.add("servers", [spec_of(tmp_path, "a", "pass", restart=False)])
    eventually(lambda: status_of(client, "a").state == "exited")
    assert status_of(client, "a").restarts == 0


def test_adding_again_leaves_the_same_and_restarts_the_changed(
    client: SupervisorClient, tmp_path: Path
) -> None:
    first = start(client, spec_of(tmp_path, "a"))
    assert start(client, spec_of(tmp_path, "a")) == first
    client.add("servers", [spec_of(tmp_path, "a", env={"COLOUR": "blue"})])
    eventually(lambda: status_of(client, "a").pid not in {first, None})
    assert is_gone(first)
    assert psutil.Process(pid_of(client, "a")).environ()["COLOUR"] == "blue"


def test_dependents_start_later_and_stop_earlier(client: SupervisorClient, tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        check = Check("tcp", "127.0.0.1", listener.getsockname()[1])
        base = spec_of(tmp_path, "base", ready_check=check)
        client.add("servers", [base])
        client.add("app", [spec_of(tmp_path, "worker", depends_on=("base",))])
        assert status_of(client, "worker").state == "waiting"
        listener.listen()
        client.wait_ready(["base", "worker"], 10.0, lambda _: None)
    client.shutdown()
    log = SupervisorPaths(tmp_path).log.read_text()
    assert log.index("worker: stopping -> stopped") < log.index("base: stopping -> stopped")


def test_a_group_can_be_stopped_alone(client: SupervisorClient, tmp_path: Path) -> None:
    client.add("servers", [spec_of(tmp_path, "a")])
    client.add("app", [spec_of(tmp_path, "b")])
    client.wait_ready(["a", "b"], 10.0, lambda _: None)
    client.stop("app")
    assert {item.name: item.state for item in client.status()} == {"a": "ready", "b": "stopped"}
    client.remove("app")
    assert [item.name for item in client.status()] == ["a"]


def test_restart_by_name(client: SupervisorClient, tmp_path: Path) -> None:
    first = start(client, spec_of(tmp_path, "a"))
    client.restart("a")
    eventually(lambda: status_of(client, "a").pid not in {first, None})
    client.wait_ready(["a"], 10.0, lambda _: None)


def test_what_ignores_the_stop_signal_is_killed(client: SupervisorClient, tmp_path: Path) -> None:
    stubborn = start(client, spec_of(tmp_path, "a", STUBBORN, stop_timeout_s=0.3))
    eventually(lambda: (tmp_path / "a.log").read_text() != "")
    client.stop("a", timeout_s=10.0)
    assert is_gone(stubborn)
    assert "did not stop within" in status_of(client, "a").last_exit


def test_a_new_supervisor_adopts_what_a_killed_one_left(
    client: SupervisorClient, tmp_path: Path
) -> None:
    worker = start(client, spec_of(tmp_path, "a"))
    first = supervisor_pid(client)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: is_gone(first))
    assert [item.state for item in client.left_behind()] == ["unsupervised"]
    client.ensure_running()
    assert supervisor_pid(client) != first
    assert start(client, spec_of(tmp_path, "a")) == worker
    # It is watched as one's own: killed, it comes back; stopped, it is gone.
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: status_of(client, "a").pid not in {worker, None})
    last = pid_of(client, "a")
    client.shutdown()
    assert is_gone(last)


def test_an_adopted_process_with_a_changed_spec_is_replaced(
    client: SupervisorClient, tmp_path: Path
) -> None:
    old = start(client, spec_of(tmp_path, "a"))
    os.kill(supervisor_pid(client), signal.SIGKILL)
    eventually(lambda: not client.is_running())
    client.ensure_running()
    client.add("servers", [spec_of(tmp_path, "a", env={"COLOUR": "blue"})])
    eventually(lambda: status_of(client, "a").pid not in {old, None})
    assert is_gone(old)


def test_a_reused_process_id_is_not_adopted(client: SupervisorClient, tmp_path: Path) -> None:
    start(client, spec_of(tmp_path, "a"))
    client.shutdown()
    state = SupervisorPaths(tmp_path).state
    data = json.loads(state.read_text())
    data["processes"][0].update(pid=os.getpid(), create_time=1.0)
    state.write_text(json.dumps(data))
    client.ensure_running()
    assert client.status() == []


def test_what_had_stopped_is_not_adopted(client: SupervisorClient, tmp_path: Path) -> None:
    start(client, spec_of(tmp_path, "a"))
    client.shutdown()
    client.ensure_running()
    assert client.status() == []


def test_one_supervisor_for_a_folder(client: SupervisorClient, tmp_path: Path) -> None:
    first = supervisor_pid(client)
    client._start_daemon()
    assert supervisor_pid(client) == first


def test_sigterm_stops_everything(client: SupervisorClient, tmp_path: Path) -> None:
    worker = start(client, spec_of(tmp_path, "a"))
    supervisor = supervisor_pid(client)
    os.kill(supervisor, signal.SIGTERM)
    eventually(lambda: is_gone(supervisor))
    assert is_gone(worker)


def test_a_bad_request_harms_nobody(client: SupervisorClient, tmp_path: Path) -> None:
    start(client, spec_of(tmp_path, "a"))
    with pytest.raises(SupervisorUnavailable, match="bad request"):
        client.request("dance")
    with pytest.raises(SupervisorUnavailable, match="bad request"):
        client.request("add", group="servers", specs=[{"name": "a"}])
    assert status_of(client, "a").state == "ready"


def test_a_long_folder_still_has_a_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    client = SupervisorClient(folder)
    client.ensure_running()
    assert client.status() == []
    client.shutdown()
    assert not SupervisorPaths(folder).socket.exists()


def test_it_idles_in_little_memory_and_time(client: SupervisorClient, tmp_path: Path) -> None:
    start(client, spec_of(tmp_path, "a"))
    process = psutil.Process(supervisor_pid(client))
    assert process.memory_info().rss < 25 * 1024 * 1024
    before = process.cpu_times()
    eventually(lambda: status_of(client, "a").state == "ready")
    assert process.cpu_times().user - before.user < 0.5


def test_a_full_log_is_emptied_in_place_and_kept_beside(tmp_path: Path) -> None:
    log_file = tmp_path / "server.log"
    with log_file.open("ab") as log:
        log.write(b"a" * 150)
        log.flush()
        cap_log(log_file, 100)
        log.write(b"b" * 10)
        log.flush()
    assert log_file.read_bytes() == b"b" * 10
    assert older_log(log_file).read_bytes() == b"a" * 100
    cap_log(log_file, 100)
    assert log_file.read_bytes() == b"b" * 10
