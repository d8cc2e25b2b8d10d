"""Whether a consumer of commands still gets what it reads, and where partitions end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from infra.kafka.transactions import Place


class Bounds:
    """Asks where partitions begin and end, records of transactions that have not ended included."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = self._connected()

    def _connected(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self._bootstrap})

    def beginnings(self, places: Sequence[Place], timeout_s: float) -> dict[Place, int]:
        """Return the offset of the first record of each; raises ``KafkaException``."""
        return self._of(places, OffsetSpec.earliest(), timeout_s)  # type: ignore[no-untyped-call]

    def ends(self, places: Sequence[Place], timeout_s: float) -> dict[Place, int]:
        """Return the offset behind the last record of each; raises ``KafkaException``."""
        return self._of(places, OffsetSpec.latest(), timeout_s)  # type: ignore[no-untyped-call]

    def _of(self, places: Sequence[Place], bound: OffsetSpec, timeout_s: float) -> dict[Place, int]:
        if not places:
            return {}
        try:
            return self._ask(places, bound, timeout_s)
        except KafkaException as error:
            # The broker may have been away since this client asked, or have come back with an older
            # log; another one asks who leads.
            self._admin = self._connected()
            if error.args[0].code() == KafkaError._TIMED_OUT:  # noqa: SLF001
                raise
        return self._ask(places, bound, timeout_s)

    def _ask(
        self, places: Sequence[Place], bound: OffsetSpec, timeout_s: float
    ) -> dict[Place, int]:
        futures = self._admin.list_offsets(
            {TopicPartition(*place): bound for place in places},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=timeout_s,
        )
        found = {(tp.topic, tp.partition): future.result().offset for tp, future in futures.items()}
        if unknown := [place for place, offset in found.items() if offset < 0]:
            # A broker that is away or has just come back can leave some out without an error.
            raise KafkaException(KafkaError(KafkaError._NO_OFFSET, str(unknown[0])))  # noqa: SLF001
        return found


#: The log may be away for so long; after that it is the client who cannot find it.
BLIND_S = 30.0


class Consumption:
    """Where a consumer is in each partition, as far as that is known, and whether it gets on.

    A consumer can stop getting anything for good without a word. Behind a log that was restored
    from an older copy, librdkafka waits for a leader that is as new as the one that it knew.
    """

    def __init__(self) -> None:
        self._at: dict[Place, int] = {}
        #: Where it was at the last look, in partitions that held more by then.
        self._behind: dict[Place, int] = {}
        #: Since when the log has not answered, by a monotonic clock.
        self._blind_since = math.inf

    def places(self) -> Sequence[Place]:
        """Return the partitions whose positions are known."""
        return [*self._at]

    def note(self, positions: Mapping[Place, int]) -> None:
        """Note the offset of the next record to come of each of these."""
        self._at.update(positions)
        if positions:
            self._blind_since = math.inf

    def forget(self, places: Iterable[Place]) -> None:
        """Leave partitions out that others read from now on."""
        for place in places:
            self._at.pop(place, None)

    def complaint(self, ends: Mapping[Place, int]) -> str:
        """Say where it read what the log does not hold, or stands since the last look; "" if not.

        To be asked after a time without records, and not much oftener than they take to come.
        """
        self._blind_since = math.inf
        behind = {place: at for place, at in self._at.items() if at < ends[place]}
        stuck = [place for place, at in behind.items() if self._behind.get(place) == at]
        stuck += [place for place, at in self._at.items() if at > ends[place]]
        self._behind = behind
        if not stuck:
            return ""
        topic, partition = place = stuck[0]
        return f"it stands at {self._at[place]} of {topic}/{partition}, which ends at {ends[place]}"

    def unanswered(self, now_s: float, reason: object) -> str:
        """Say that for too long neither an answer nor a record has come; "" if that may pass."""
        self._blind_since = min(self._blind_since, now_s)
        if now_s - self._blind_since < BLIND_S:
            return ""
        return f"the log has not said for {BLIND_S:.0f} s where it ends: {reason}"
