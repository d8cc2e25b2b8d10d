"""Contestant: a Quix Streams application with a sink that is flushed every 5,000 records."""

from __future__ import annotations

from collections import Counter
from typing import Any

from benchmarks.peers.work import BATCH_RECORDS, TOPIC, WITHIN_S, Counts, Stopwatch, place


def main() -> None:
    where = place()
    stopwatch = Stopwatch(where.events)

    from quixstreams import Application
    from quixstreams.sinks import BaseSink

    counts = Counts(where.postgres, stopwatch)

    class Tables(BaseSink):
        def __init__(self) -> None:
            super().__init__()
            self._counts = Counter[str]()
            self._offsets: dict[int, int] = {}

        def add(
            self,
            value: Any,
            key: Any,  # noqa: ARG002 - the library's own signature
            timestamp: int,  # noqa: ARG002
            headers: Any,  # noqa: ARG002
            topic: str,  # noqa: ARG002
            partition: int,
            offset: int,
        ) -> None:
            self._counts[value["video_id"]] += 1
            self._offsets[partition] = offset + 1

        def flush(self) -> None:
            if self._counts:
                counts.write(self._counts, self._offsets)
            self._counts, self._offsets = Counter(), {}

        def on_paused(self) -> None:
            self._counts, self._offsets = Counter(), {}

    app = Application(
        broker_address=where.kafka,
        consumer_group=where.run,
        auto_offset_reset="earliest",
        commit_every=BATCH_RECORDS,
        commit_interval=WITHIN_S,
        auto_create_topics=False,
        loglevel="WARNING",
    )
    frame = app.dataframe(app.topic(TOPIC, value_deserializer="json"))
    frame.sink(Tables())
    app.run()


if __name__ == "__main__":
    main()
