"""A record that was put aside and is applied late, asked of all four stores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from events.base import TopicPartition
from projections.ports import Move, PositionMoved, Sink, Step
from tests.contract.history import come_to, engagement, some_videos
from tests.contract.stores import Store
from tests.contract.test_sinks import known, position


async def test_what_was_put_aside_is_applied_once_beside_the_rest(store: Store, sink: Sink) -> None:
    """Its place is named after the record, moves from 0 to 1, and leaves the partition's alone."""
    videos = some_videos(3)
    history = engagement(videos, 30)
    put_aside = history.events[11][0]
    around = [
        Move(
            projection,
            0,
            history.end,
            [
                *history.move(projection, 0, put_aside).changes,
                *history.move(projection, put_aside + 1, history.end).changes,
            ],
        )
        for projection in store.projections
    ]
    await sink.apply([Step(history.source, around)])
    assert await store.read(videos) != known(store, come_to(history))

    source = history.source
    place = TopicPartition(f"deadletters/{source.topic}/{source.partition}/{put_aside}", 0)
    late = [
        replace(history.move(projection, put_aside, put_aside + 1), before=0, after=1)
        for projection in store.projections
    ]
    await sink.apply([Step(place, late)])
    assert await store.read(videos) == known(store, come_to(history))
    assert (await position(sink, store, place), await position(sink, store)) == (1, history.end)
    with pytest.raises(PositionMoved):
        await sink.apply([Step(place, late)])
    assert await store.read(videos) == known(store, come_to(history))
