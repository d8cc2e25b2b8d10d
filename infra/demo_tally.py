"""What the log and each of the four stores hold of one video and its creator, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from rich.console import Console
from rich.table import Table

from events.comments import CommentDeleted, CommentPosted
from events.engagement import VideoLiked, VideoShared, VideoUnliked, VideoViewed
from events.follows import UserFollowed, UserUnfollowed
from infra.bootstrap.core import Core, open_core
from infra.clickhouse.reader import ClickHouseAnalytics
from infra.freshness import PositionWaiter
from infra.kafka.ends import LogEnds
from infra.kafka.replay import replay
from infra.live_builds import LiveBuilds
from infra.opensearch.reader import OpenSearchIndex
from infra.redis.reader import RedisCounters
from infra.settings import Settings
from projections.registry import PROJECTIONS
from query_api.cards import counters_key
from schemas.http import consistency

_TIMEOUT_S = 30.0
#: Stored name of an event -> the counter that it moves, and by how much.
_COUNTED = {
    VideoViewed.stored_name(): ("views", 1),
    VideoLiked.stored_name(): ("likes", 1),
    VideoUnliked.stored_name(): ("likes", -1),
    VideoShared.stored_name(): ("shares", 1),
    CommentPosted.stored_name(): ("comments", 1),
    CommentDeleted.stored_name(): ("comments", -1),
    UserFollowed.stored_name(): ("followers", 1),
    UserUnfollowed.stored_name(): ("followers", -1),
}
_TOPICS = ("events.engagement", "events.comments", "events.follows")
_FACTS = {
    "like": ("likes", 1),
    "unlike": ("likes", -1),
    "share": ("shares", 1),
    "comment": ("comments", 1),
}


@dataclass(frozen=True, slots=True)
class Tally:
    """Place -> counter -> count; a place without a counter does not keep it."""

    places: Mapping[str, Mapping[str, int]]
    master_url: str

    def agrees_with(self, expected: Mapping[str, int]) -> bool:
        """Say whether every place shows what was done."""
        return all(
            count == expected[counter]
            for counts in self.places.values()
            for counter, count in counts.items()
        )


async def tally(
    settings: Settings, video_id: str, creator_id: str, token: str, url: str, since_ms: int
) -> Tally:
    """Count in every place, once all projections have applied what the token's holder has seen."""
    async with open_core(settings) as core:
        ends = LogEnds(core.places.kafka)
        try:
            waiter = PositionWaiter(
                core.sinks, PROJECTIONS, LiveBuilds(core.builds, PROJECTIONS), ends, _TIMEOUT_S
            )
            await waiter.wait(PROJECTIONS, consistency.decode(token))
        finally:
            await ends.close()
        places = {
            "log (Kafka)": await _log(core, video_id, creator_id, since_ms),
            "PostgreSQL": await _postgres(core, video_id, creator_id),
            "Redis": await _redis(core, video_id),
            "ClickHouse": await _clickhouse(core, video_id),
            "OpenSearch": await _opensearch(core, video_id),
        }
    async with httpx.AsyncClient(base_url=url, timeout=30.0) as client:
        answer = await client.get(f"/api/v1/videos/{video_id}/stream-url")
        return Tally(places, answer.json()["data"]["url"])


async def _log(core: Core, video_id: str, creator_id: str, since_ms: int) -> dict[str, int]:
    counts: Counter[str] = Counter(views=0, likes=0, comments=0, shares=0, followers=0)
    async for records in replay(core.places.kafka, _TOPICS, since_ms):
        for record in records:
            counter, amount = _COUNTED.get(record.headers["ce_type"].decode(), ("", 0))
            about = creator_id if counter == "followers" else video_id
            if counter and about.encode() in record.value:
                counts[counter] += amount
    return dict(counts)


async def _postgres(core: Core, video_id: str, creator_id: str) -> dict[str, int]:
    row = await core.pool.fetchrow(
        "SELECT view_count, like_count, comment_count, share_count FROM videos WHERE id = $1",
        video_id,
    )
    followers = await core.pool.fetchval(
        "SELECT follower_count FROM users WHERE id = $1", creator_id
    )
    if row is None:
        return {"views": 0}
    return {
        "views": row["view_count"],
        "likes": row["like_count"],
        "comments": row["comment_count"],
        "shares": row["share_count"],
        "followers": followers or 0,
    }


async def _redis(core: Core, video_id: str) -> dict[str, int]:
    counters = RedisCounters(core.places.redis, core.settings.namespace)
    try:
        [found] = await counters.hashes([counters_key(video_id)])
    finally:
        await counters.close()
    return {name: int(found.get(name, 0)) for name in ("views", "likes", "comments", "shares")}


async def _clickhouse(core: Core, video_id: str) -> dict[str, int]:
    analytics = ClickHouseAnalytics(core.places.clickhouse, core.settings.namespace)
    try:
        of_video = {"video": video_id}
        views = await analytics.query(
            "SELECT sum(views) AS n FROM video_stats_daily WHERE video_id = {video:UUID}", of_video
        )
        facts = await analytics.query(
            "SELECT event_type, count() AS n FROM engagement WHERE video_id = {video:UUID} "
            "GROUP BY event_type",
            of_video,
        )
    finally:
        await analytics.close()
    counts = Counter(views=int(views[0]["n"]), likes=0, shares=0, comments=0)
    for fact in facts:
        counter, amount = _FACTS.get(fact["event_type"], ("", 0))
        if counter:
            counts[counter] += amount * int(fact["n"])
    return dict(counts)


async def _opensearch(core: Core, video_id: str) -> dict[str, int]:
    index = OpenSearchIndex(core.places.opensearch, core.settings.namespace)
    try:
        answer = await index.search("videos", {"query": {"term": {"_id": video_id}}, "size": 1})
    finally:
        await index.close()
    hits = answer["hits"]["hits"]
    document = hits[0]["_source"] if hits else {}
    return {name: int(document.get(name, 0)) for name in ("views", "likes")}


def show_tally(expected: Mapping[str, int], found: Tally, out: Console) -> None:
    """Print what was done and what each place holds of it."""
    table = Table("", *expected, title="what was done, and what each place holds of it")
    table.add_row("done", *(str(count) for count in expected.values()), style="bold")
    for place, counts in found.places.items():
        table.add_row(place, *(str(counts.get(counter, "-")) for counter in expected))
    out.print(table)
    agree = found.agrees_with(expected)
    out.print("they agree" if agree else "they do NOT agree", style="green" if agree else "red")
