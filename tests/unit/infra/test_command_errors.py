"""What goes wrong outside of our code is one line and exit code 1; our own bugs are not hidden."""

from __future__ import annotations

import asyncpg
import httpx
import pytest

from infra.cli import main as cli


def ending(monkeypatch: pytest.MonkeyPatch, error: Exception) -> int:
    """Return the exit code of a command that fails so."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(cli, "configure_logs", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(2, "No such file", "lake"), "FILE: lake: No such file"),
        (ConnectionRefusedError(111, "refused"), "UNAVAILABLE: ConnectionRefusedError"),
        (httpx.ConnectError("All\nattempts failed"), "UNAVAILABLE: ConnectError: All attempts"),
        (asyncpg.InvalidCatalogNameError("no such database"), "no such database"),
    ],
)
def test_servers_and_files_fail_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    line: str,
) -> None:
    assert ending(monkeypatch, error) == 1
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1


def test_our_own_bugs_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError):
        ending(monkeypatch, KeyError("a bug"))
