"""What the comparison of streams and ids takes by itself, in sizes that no test log has.

``python -m benchmarks.log_verify.rows COUNT`` prints a JSON object: events, seconds, peak memory.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from events.base import TopicPartition
from events.codec import LogRecord
from infra.log_tools.verify.findings import Findings
from infra.log_tools.verify.identities import Identities

#: Events of each stream.
EVENTS_EACH = 2


def peak_bytes() -> int:
    """Return the most memory that this process ever held, what it was started from left out."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024
    raise RuntimeError("this system does not tell a process's peak memory")


def compare(count: int) -> dict[str, float]:
    """Take in ``count`` events and as many outcomes, and judge them."""
    source = TopicPartition("events.engagement", 0)
    findings = Findings()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        identities = Identities(Path(folder))
        place = identities.place(source)
        for number in range(count):
            record = LogRecord(source, number, f"key {number // EVENTS_EACH}", b"", {}, 0)
            stream, version = divmod(number, EVENTS_EACH)
            identities.add_event(place, record, f"stream {stream}", version + 1)
            identities.add_id(place, number, f"event {number}")
            identities.add_id(place, number, f"command {number}")
        identities.check(lambda _source, _offset: None, findings)
        assert not findings.total
        assert identities.streams == -(-count // EVENTS_EACH)
        identities.close()
    return {
        "events": count,
        "seconds": time.monotonic() - began,
        "peak_bytes": peak_bytes(),
    }


if __name__ == "__main__":
    print(json.dumps(compare(int(sys.argv[1]))))
