"""What only ClickHouse does: one part a step, facts that replace themselves, days on the fly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import pytest_asyncio

from events.base import Event, Recorded
from infra.clickhouse.schema import columns_of
from infra.clickhouse.sink import ClickHouseSink
from projections.declaration import Projection, Put, Table
from projections.ports import Move, Step, StoreUnavailable
from projections.viewing import VIEWING
from tests.conftest import Servers
from tests.contract.history import ENGAGEMENT, come_to, engagement, liked, some_videos, viewed
from tests.contract.stores import ClickHouseStore
from tests.unit.events.known import metadata_of

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)


@pytest_asyncio.fixture
async def place(servers: Servers) -> AsyncIterator[ClickHouseStore]:
    opened = ClickHouseStore(servers["clickhouse"])
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def sink(place: ClickHouseStore) -> AsyncIterator[ClickHouseSink]:
    opened = await place.sink(place.server_url)
    await opened.prepare([VIEWING])
    yield opened
    await opened.close()


def step(*events: tuple[Event, datetime], projection: Projection = VIEWING) -> Step:
    changes = [
        change
        for offset, (event, at) in enumerate(events)
        for change in projection.evolve(
            Recorded(event, metadata_of(event, offset + 1, at), ENGAGEMENT, offset, "key")
        )
    ]
    return Step(ENGAGEMENT, [Move(projection, 0, len(events), changes)])


async def parts(place: ClickHouseStore) -> int:
    """Return how many parts were ever written by inserts."""
    rows = await place.reader.query(
        "SELECT max(max_block_number) AS blocks FROM system.parts "
        "WHERE database = currentDatabase() AND table = 'viewing__v1'",
        {},
    )
    return int(rows[0]["blocks"])


async def test_a_step_is_one_part_whatever_tables_it_writes_to(
    place: ClickHouseStore, sink: ClickHouseSink
) -> None:
    (video,) = some_videos(1)
    history = [(viewed(video), MIDNIGHT - timedelta(days=days)) for days in range(0, 400, 40)]
    await sink.apply([step(*history, (liked(video), MIDNIGHT))])
    assert await parts(place) == 1


async def test_days_are_those_of_utc_and_count_viewers_once(
    place: ClickHouseStore, sink: ClickHouseSink
) -> None:
    (video,) = some_videos(1)
    guest = viewed(video, "guest").model_copy(update={"user_id": None})
    last_second, first_second = MIDNIGHT - timedelta(seconds=1), MIDNIGHT
    await sink.apply(
        [
            step(
                (viewed(video, "phone"), last_second),
                (viewed(video, "tv"), first_second),
                (viewed(video, "phone"), first_second),
                (guest, first_second),
                (liked(video), first_second),
            )
        ]
    )
    days = await place.reader.query(
        "SELECT * EXCEPT video_id FROM video_stats_daily WHERE video_id = {video:UUID} "
        "ORDER BY day",
        {"video": video},
    )
    names = ("views", "unique_viewers", "avg_watch_duration", "total_watch_time")
    assert [(row["day"], *(row[name] for name in names)) for row in days] == [
        (date(2026, 3, 1), 1, 1, 7.5, 7.5),
        (date(2026, 3, 2), 3, 2, 7.5, 22.5),
    ]


async def test_a_sink_that_believes_its_position_writes_nothing_twice(
    place: ClickHouseStore, sink: ClickHouseSink
) -> None:
    """Whoever was overtaken a moment ago may write its step still: it changes nothing."""
    videos = some_videos(3)
    history = engagement(videos, 60)
    believing = ClickHouseSink(place.server_url, place.namespace, believed_s=3600.0)
    await believing.apply([history.step(VIEWING, 0, 20)])
    await sink.apply([history.step(VIEWING, 20)])
    await believing.apply([history.step(VIEWING, 20, 50)])
    await believing.close()
    expected = {
        video: {"views": facts["views"], "likes": facts["likes"]}
        for video, facts in come_to(history).items()
    }
    assert await place.read(videos) == expected
    stored = await sink.positions([VIEWING])
    assert stored["viewing"][ENGAGEMENT] == history.end


async def test_the_same_facts_stand_once_however_often_they_are_written(
    place: ClickHouseStore, sink: ClickHouseSink
) -> None:
    (video,) = some_videos(1)
    facts = step((viewed(video), MIDNIGHT), (viewed(video), MIDNIGHT))
    for _ in range(3):
        await sink._insert(VIEWING, [(ENGAGEMENT, facts.moves[0])])
    days = await place.reader.query("SELECT views, total_watch_time FROM video_stats_daily", {})
    assert days == [{"views": 2, "total_watch_time": 15.0}]


async def test_readers_of_what_was_never_prepared_are_told_to_come_again(
    place: ClickHouseStore,
) -> None:
    with pytest.raises(StoreUnavailable):
        await place.reader.query("SELECT count() FROM views", {})
    unprepared = await place.sink(place.server_url)
    with pytest.raises(StoreUnavailable):
        await unprepared.positions([VIEWING])
    await unprepared.close()


async def test_a_version_that_is_not_live_is_built_unseen(
    place: ClickHouseStore, sink: ClickHouseSink
) -> None:
    (video,) = some_videos(1)
    next_version = replace(VIEWING, version=2)
    await sink.prepare([next_version])
    await sink.apply([step((viewed(video), MIDNIGHT), projection=next_version)])
    assert await place.read([video]) == {}
    assert await place.reader.query("SELECT count() AS n FROM views__v2", {}) == [{"n": 1}]


def test_tables_that_share_a_column_must_agree_about_it() -> None:
    other = Table("other", {"session_id": "UInt64"}, key=("video_id",))
    with pytest.raises(ValueError, match="disagree about session_id"):
        columns_of(replace(VIEWING, tables=(*VIEWING.tables, other)))


async def test_a_change_that_is_no_row_is_a_fault(sink: ClickHouseSink) -> None:
    misfit = Put("views", ("key",), {})
    with pytest.raises(TypeError, match="Put is not a new row"):
        await sink.apply([Step(ENGAGEMENT, [Move(VIEWING, 0, 1, [misfit])])])
