"""What only OpenSearch does: found once recorded, tombstones, changes told apart by offset."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from events.base import Event
from events.users import UserRegistered
from events.videos import VideoDeleted
from infra.opensearch.client import DocumentRefused, bulk, connect
from infra.opensearch.library import AsyncOpenSearch
from infra.opensearch.sink import OpenSearchSink
from projections.declaration import Change, Increment, Put
from projections.ports import Move, Step, StoreUnavailable
from projections.stamps import OFFSET
from projections.video_index import VIDEO_INDEX
from tests.conftest import Servers
from tests.contract.history import DESCRIPTIONS, ENGAGEMENT, History, created, some_videos, viewed
from tests.contract.stores import OpenSearchStore
from tests.unit.events.known import ADA


@pytest_asyncio.fixture
async def place(servers: Servers) -> AsyncIterator[OpenSearchStore]:
    opened = OpenSearchStore(servers["opensearch"])
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def sink(place: OpenSearchStore) -> AsyncIterator[OpenSearchSink]:
    opened = await place.sink(place.server_url)
    await opened.prepare([VIDEO_INDEX])
    yield opened
    await opened.close()


def history(*events: Event) -> History:
    return History(DESCRIPTIONS, list(enumerate(events)))


async def found(place: OpenSearchStore, index: str, field: str, text: str) -> set[str]:
    answer = await place.reader.search(index, {"query": {"match": {field: text}}})
    return {hit["_id"] for hit in answer["hits"]["hits"]}


async def test_what_is_recorded_is_found(place: OpenSearchStore, sink: OpenSearchSink) -> None:
    harbour, mountain = some_videos(2)
    events = history(created(harbour, "Harbour at dawn"), created(mountain, "Mountain at dawn"))
    await sink.apply([events.step(VIDEO_INDEX)])
    assert await found(place, "videos", "title", "harbour") == {harbour}
    assert await found(place, "videos", "title", "DAWN") == {harbour, mountain}


async def test_creators_are_found_by_name(place: OpenSearchStore, sink: OpenSearchSink) -> None:
    registered = UserRegistered(
        user_id=ADA, username="Ada", email="ada@example.org", password_hash="hash"
    )
    await sink.apply([history(registered).step(VIDEO_INDEX)])
    assert await found(place, "creators", "creator_name", "ada") == {ADA}


async def test_a_deleted_video_stays_as_a_tombstone_without_words(
    place: OpenSearchStore, sink: OpenSearchSink
) -> None:
    (video,) = some_videos(1)
    gone = VideoDeleted(video_id=video, creator_id=ADA)
    await sink.apply([history(created(video, "Harbour"), gone).step(VIDEO_INDEX)])
    assert await found(place, "videos", "title", "harbour") == set()
    assert await found(place, "videos", "deleted", "true") == {video}


async def test_documents_leave_out_what_they_have_seen_in_whatever_batches_it_comes(
    place: OpenSearchStore, sink: OpenSearchSink
) -> None:
    """As after a crash between the documents and the position: the next batches overlap."""
    (video,) = some_videos(1)
    views = History(ENGAGEMENT, [(offset, viewed(video)) for offset in range(30)])
    for begins, ends in ((0, 20), (0, 7), (5, 25), (25, 30)):
        updates = sink._updates(ENGAGEMENT, views.move(VIDEO_INDEX, begins, ends))
        await _send(sink, list(updates))
    assert (await place.read([video]))[video]["views"] == 30


async def _send(sink: OpenSearchSink, lines: list[object]) -> None:
    await sink._client.bulk(body=lines, params={"refresh": "true"})


async def test_readers_of_what_was_never_prepared_are_told_to_come_again(
    place: OpenSearchStore,
) -> None:
    with pytest.raises(StoreUnavailable):
        await place.reader.search("videos", {})


async def test_a_version_that_is_not_live_is_built_unseen(
    place: OpenSearchStore, sink: OpenSearchSink
) -> None:
    (video,) = some_videos(1)
    next_version = replace(VIDEO_INDEX, version=2)
    await sink.prepare([next_version])
    step = history(created(video, "Harbour")).step(next_version)
    await sink.apply([step])
    assert await found(place, "videos", "title", "harbour") == set()
    assert await found(place, "videos__v2", "title", "harbour") == {video}


async def test_a_document_that_does_not_fit_the_index_is_refused(sink: OpenSearchSink) -> None:
    misfit = Put("videos", ("key",), {"views": "many", OFFSET: 0})
    with pytest.raises(DocumentRefused, match="videos__v1/key"):
        await sink.apply([Step(DESCRIPTIONS, [Move(VIDEO_INDEX, 0, 1, [misfit])])])


async def test_a_script_is_compiled_later_where_too_many_were(
    place: OpenSearchStore, sink: OpenSearchSink
) -> None:
    """An overload that passes is no fault of the document, although it is a bad request."""
    (video,) = some_videos(1)
    await sink.apply([history(created(video, "Harbour")).step(VIDEO_INDEX)])
    client = connect(place.server_url)
    own = {"script": {"source": f"ctx._source.views = {secrets.randbits(31)}L"}}
    update = [{"update": {"_index": f"{place.namespace}videos", "_id": video}}, own]
    await _let_compile(client, "0/1m")
    try:
        with pytest.raises(StoreUnavailable, match="circuit_breaking_exception"):
            await bulk(client, update, refresh=False)
        await _let_compile(client, None)
        assert await bulk(client, update, refresh=False) == ["updated"]
    finally:
        await _let_compile(client, None)
        await client.close()


async def _let_compile(client: AsyncOpenSearch, rate: str | None) -> None:
    """Limit how many scripts of updates are compiled; None is the server's own limit."""
    kind = None if rate is None else "use-context"
    limits = {
        "script.max_compilations_rate": kind,
        "script.context.update.max_compilations_rate": rate,
    }
    await client.cluster.put_settings(body={"persistent": limits})


async def test_several_changes_of_one_event_all_count(
    place: OpenSearchStore, sink: OpenSearchSink
) -> None:
    (video,) = some_videos(1)
    twice = [Increment("videos", (video,), {"views": 1, OFFSET: 3}) for _ in range(2)]
    await sink.apply([Step(DESCRIPTIONS, [Move(VIDEO_INDEX, 0, 4, twice)])])
    assert (await place.read([video]))[video]["views"] == 2


async def test_increments_between_puts_count_once_and_in_their_turn(
    place: OpenSearchStore, sink: OpenSearchSink
) -> None:
    (video,) = some_videos(1)
    steps = [{"views": 1}, {"likes": 1}, {"views": 1}, {"views": 5}, {"likes": -1}, {"likes": 1}]
    added = [Increment("videos", (video,), {**s, OFFSET: at}) for at, s in enumerate(steps)]
    put = Put("videos", (video,), {"views": 100, OFFSET: 6})
    more = [Increment("videos", (video,), {"views": 1, OFFSET: at}) for at in (7, 8)]
    changes: list[Change] = [*added, put, *more]
    for begins, ends in ((0, 3), (0, 5), (2, 8), (0, 9)):
        move = Move(VIDEO_INDEX, begins, ends, changes[begins:ends])
        await _send(sink, list(sink._updates(DESCRIPTIONS, move)))
        if ends == 5:
            document = (await place.read([video]))[video]
            assert (document["views"], document["likes"]) == (7, 0)
    document = (await place.read([video]))[video]
    assert (document["views"], document["likes"]) == (102, 1)


async def test_a_video_that_is_viewed_often_costs_no_more_to_send(sink: OpenSearchSink) -> None:
    (video,) = some_videos(1)
    views = History(ENGAGEMENT, [(offset, viewed(video)) for offset in range(1_000)])
    _, update = sink._updates(ENGAGEMENT, views.move(VIDEO_INDEX, 0, 1_000))
    [change] = update["script"]["params"]["changes"]
    assert change == {"offsets": [*range(1_000)], "add": {"views": 1}}
