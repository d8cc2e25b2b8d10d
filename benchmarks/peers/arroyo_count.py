"""Contestant: Sentry's arroyo, batches of 5,000 records, offsets committed behind the write."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.work import BATCH_RECORDS, TOPIC, WITHIN_S, Counts, Stopwatch, counted, place


def main() -> None:
    where = place()
    stopwatch = Stopwatch(where.events)

    from arroyo import Topic
    from arroyo.backends.kafka import KafkaConsumer
    from arroyo.backends.kafka.configuration import build_kafka_consumer_configuration
    from arroyo.processing import StreamProcessor
    from arroyo.processing.strategies import CommitOffsets, ProcessingStrategyFactory, RunTask
    from arroyo.processing.strategies.batching import BatchStep

    counts = Counts(where.postgres, stopwatch)

    def write(message: Any) -> Any:
        views = counted(value.payload.value for value in message.payload)
        counts.write(views, {place.index: to for place, to in message.committable.items()})
        return message.payload

    class Steps(ProcessingStrategyFactory):
        def create_with_partitions(self, commit: Any, partitions: Any) -> Any:  # noqa: ARG002
            writing = RunTask(write, CommitOffsets(commit))
            return BatchStep(BATCH_RECORDS, WITHIN_S, writing)

    settings = build_kafka_consumer_configuration(
        {}, bootstrap_servers=[where.kafka], auto_offset_reset="earliest", group_id=where.run
    )
    StreamProcessor(KafkaConsumer(settings), Topic(TOPIC), Steps()).run()


if __name__ == "__main__":
    main()
