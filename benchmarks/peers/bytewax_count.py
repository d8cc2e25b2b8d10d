"""Contestant: a Bytewax dataflow from its Kafka source to a sink that takes batches."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.work import BATCH_RECORDS, TOPIC, Counts, Stopwatch, counted, place


def main() -> None:
    where = place()
    stopwatch = Stopwatch(where.events)

    import bytewax.operators as op
    from bytewax.connectors.kafka import KafkaSource
    from bytewax.dataflow import Dataflow
    from bytewax.outputs import DynamicSink, StatelessSinkPartition
    from bytewax.testing import run_main

    counts = Counts(where.postgres, stopwatch)

    class Table(StatelessSinkPartition):
        def write_batch(self, items: list[Any]) -> None:
            offsets: dict[int, int] = {}
            for message in items:
                offsets[message.partition] = message.offset + 1
            counts.write(counted(message.value for message in items), offsets)

    class Tables(DynamicSink):
        def build(self, *_place: object) -> Table:
            return Table()

    flow = Dataflow("count")
    source = KafkaSource([where.kafka], [TOPIC], batch_size=BATCH_RECORDS)
    op.output("table", op.input("log", flow, source), Tables())
    run_main(flow)


if __name__ == "__main__":
    main()
