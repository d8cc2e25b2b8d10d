"""What the command of a task printed, in a sentence."""

from __future__ import annotations

import pytest

from infra.console.tasks import result_of


@pytest.mark.parametrize(
    ("output", "complaint", "told"),
    [
        (
            b'[{"projection": "comments", "build": "v1b2", "state": "live", "compared": 7}]',
            b"",
            "v1b2 is live, 7 rows compared",
        ),
        (
            b'[{"projection": "comments", "build": "v1b2", "state": "live", "compared": null}]',
            b"a warning",
            "v1b2 is live",
        ),
        (
            b'[{"letter": "0:1", "key": null, "state": "retried", "error": null,'
            b' "result": "comments: applied"}, {"letter": "0:2", "error": "CONFLICT: no"},'
            b' {"letter": null, "key": "followers/x/1", "state": "released", "error": null,'
            b' "result": null}]',
            b"",
            "0:1: comments: applied; 0:2: CONFLICT: no; followers/x/1: released",
        ),
        (b"", b"one\nstreamhub: BUILDS_DIFFER: they differ\n", "BUILDS_DIFFER: they differ"),
        (b"[]", b"", ""),
        (b"no json", b"", ""),
    ],
)
def test_a_result_is_told_in_a_sentence(output: bytes, complaint: bytes, told: str) -> None:
    assert result_of(output, complaint) == told
