"""Batches through Faust: one Faust app a reader, many records a message.

A plain Faust agent spends its time on machinery for each event. Here the consumer hands over what
a fetch brought, a batch a partition, as a single message, reads committed records only, starts from
the reader's own positions, and commits to Kafka what the reader says is safe: Faust's
acknowledgements decide nothing.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import faust
import structlog
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.serializers.codecs import Codec
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from events.base import TopicPartition
from projections.batches import Batch, BatchReader, parted
from projections.event_loop import new_event_loop
from projections.fetching import WholeFetchConsumer
from projections.unpacking import Fetched, SharedRecords

log = structlog.get_logger(__name__)

FETCH_WAIT_MS = 500
#: Partitions share a message, hence a step of a sink, until it spans this many offsets.
MESSAGE_RECORDS = 20_000
#: Bytes, as they are in Kafka, that one fetch brings at most.
FETCH_BYTES = 16 << 20
COMMIT_INTERVAL_S = 1.0
SESSION_TIMEOUT_S = 10.0


class _Unchanged(Codec):
    """Hands the value over as it is: it never was bytes."""

    def _loads(self, s: Any) -> Any:
        return s

    def _dumps(self, s: Any) -> Any:
        return s


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads committed records only, and hands over whatever has come.

    All records come through its event loop, which is therefore as fast a one as the process's own.
    """

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, thread_loop=new_event_loop(), **options)
        self._close_thread_loop_on_stop = True

    def _create_worker_consumer(self, transport: Any) -> WholeFetchConsumer:
        conf = self.app.conf
        self._assignor = RoundRobinPartitionAssignor
        return WholeFetchConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            auto_offset_reset="earliest",
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 0) * 1000),
            fetch_max_wait_ms=FETCH_WAIT_MS,
            fetch_max_bytes=FETCH_BYTES,
            pace_s=cast("BatchConsumer", self.consumer).reader.pace_s,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
        )


class BatchConsumer(driver.Consumer):
    """Yields what a fetch brought, some thousand records at once; positions are the reader's."""

    reader: BatchReader
    #: How often it was put to the reader's positions.
    _seeks: int = 0

    def _new_consumer_thread(self) -> BatchConsumerThread:
        self.reader = cast("BatchTransport", self.transport).reader
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Start where the reader stands, whatever was committed to Kafka."""
        assigned = {_source(tp): tp for tp in self.assignment()}
        starts = await self.reader.assign(list(assigned))
        offsets = {assigned[source]: offset for source, offset in starts.items()}
        await self.seek_wait(offsets)
        self._seeks += 1

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109
        fetched, active = await self._wait_next_records(timeout)
        seeks = self._seeks
        shared = cast("BatchTransport", self.transport).shared
        # In one order, so that readers of a process come to the same records at about the same
        # time.
        batches = [
            one.batch(shared)
            for tp, fetches in sorted((fetched or {}).items())
            if active is None or tp in active
            for one in cast("Sequence[Fetched]", fetches)
        ]
        for together in parted(batches, MESSAGE_RECORDS):
            # After a rebalance the reader may stand elsewhere, and what is left is fetched anew.
            if not self.flow_active or self._seeks != seeks:
                return
            message = self._message(together)
            yield message.tp, message

    def _message(self, batches: Sequence[Batch]) -> ConsumerMessage:
        """Return one message for several partitions, under the name of the first."""
        first = batches[0]
        return ConsumerMessage(
            topic=first.source.topic,
            partition=first.source.partition,
            offset=first.ends - 1,
            timestamp=time.time(),
            timestamp_type=0,
            headers={},
            key=None,
            value=cast("Any", batches),
            checksum=None,
            tp=TP(first.source.topic, first.source.partition),
            generation_id=self.app.consumer_generation_id,
        )

    def ack(self, message: Any) -> bool:
        """Only note that the agent is through with the message."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    def on_buffer_full(self, tp: TP) -> None:
        """Leave the partition in: a full buffer has the next message wait, and that is enough.

        Otherwise a fetch begun before the buffer had room again would wait for the other
        partitions, as long as a fetch may take, beside records that lie ready.
        """

    def on_buffer_drop(self, tp: TP) -> None:
        """Nothing was taken out."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps are no concern of a consumer that commits the reader's positions."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:  # noqa: ARG002
        return iter(self.assignment())

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        safe = {tp: self.reader.position(_source(tp)) for tp in tps}
        return {
            tp: position
            for tp, position in safe.items()
            if position > (self._committed_offset.get(tp) or 0)
        }


class BatchTransport(driver.Transport):
    """Faust's public way in: a transport whose consumer is the one above."""

    Consumer = BatchConsumer

    def __init__(
        self, url: Any, app: Any, reader: BatchReader, shared: SharedRecords | None
    ) -> None:
        super().__init__(url, app, app.loop)
        self.reader = reader
        self.shared = shared


class StreamWorker:
    """Runs one reader in a Faust app; ``failed`` completes when it can go no further.

    ``shared`` is what several in a process have in common.
    """

    def __init__(
        self,
        bootstrap: str,
        reader: BatchReader,
        instance: str = "",
        shared: SharedRecords | None = None,
    ) -> None:
        self.reader = reader
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._app = _faust_app(bootstrap, reader.name, instance)
        self._app.transport = BatchTransport(
            self._app.conf.broker_consumer, self._app, reader, shared
        )
        topic = self._app.topic(
            *sorted(reader.topics()),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer=_Unchanged(),
        )
        self._app.agent(topic, name=reader.name, concurrency=1)(self._read)

    async def _read(self, stream: Any) -> None:
        """The agent. What fails is never left behind: the whole worker ends.

        Until it does, batches pass through: Faust waits for them when it stops, and what was not
        applied is not committed.
        """
        async for batches in stream:
            if self.failed.done():
                continue
            try:
                await self.reader.apply(batches)
            except Exception as error:
                log.exception("reader_failed", reader=self.reader.name)
                self.failed.set_exception(error)

    async def start(self) -> None:
        await self.reader.start()
        await self._app.start()

    async def stop(self) -> None:
        await self._app.stop()

    @property
    def is_rebalancing(self) -> bool:
        """Whether partitions are being shared out anew, and it may have none for the moment."""
        return bool(self._app.rebalancing)

    def assignment(self) -> frozenset[TopicPartition]:
        """Return the partitions that this worker reads now."""
        return frozenset(_source(tp) for tp in self._app.consumer.assignment())


def _faust_app(bootstrap: str, name: str, instance: str) -> faust.App:
    logging.getLogger("faust").setLevel(logging.WARNING)
    logging.getLogger("mode").setLevel(logging.WARNING)
    return faust.App(
        f"streamhub-{name}",
        broker=[f"kafka://{server}" for server in bootstrap.split(",")],
        consumer_group_instance_id=f"{name}-{instance}" if instance else None,
        broker_commit_interval=COMMIT_INTERVAL_S,
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_rebalance_timeout=60.0,
        broker_heartbeat_interval=3.0,
        broker_max_poll_interval=1800.0,
        # What waits in Kafka meanwhile comes in one larger fetch, hence in one step.
        stream_buffer_maxsize=1,
        stream_wait_empty=True,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        datadir=str(Path(tempfile.gettempdir()) / "streamhub-faust"),
    )


def _source(tp: Any) -> TopicPartition:
    return TopicPartition(tp.topic, tp.partition)
