"""The four stores against the log: every row, counter, fact and document that the log implies.

Each ``…_differences`` returns sentences about what is missing, wrong or too much; none is right.
The stores are read with plain clients, not through StreamHub.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from redis.asyncio import Redis

from infra.bootstrap.core import Core
from tests.support.log import Log, check_log, read_log
from tests.support.world import World, epoch_s, fold

K = TypeVar("K")
_SHOWN = 10
#: Keys that end this soon may be gone while they are compared.
_EXPIRY_MARGIN_S = 30.0
_USER_COUNTS = ("total_views", "total_uploads", "follower_count", "following_count")
_VIDEO_COUNTS = ("views", "likes", "comments", "shares")
_COMMENT_COUNTS = ("like_count", "reply_count", "report_count")


async def check_everything(core: Core) -> Log:
    """Fail unless the log is sound and all four stores say what it says; return the log."""
    log = await read_log(core.places.kafka)
    check_log(log)
    world = fold(log)
    problems = [
        *await postgres_differences(core, world),
        *await redis_differences(core, world),
        *await clickhouse_differences(core, world),
        *await opensearch_differences(core, world),
    ]
    assert not problems, "\n".join(problems)
    return log


def differences(what: str, expected: Mapping[K, Any], found: Mapping[K, Any]) -> list[str]:
    """Return what is missing, wrong and too much, the first few of each."""
    missing = [f"{what} {key} is missing" for key in expected.keys() - found.keys()]
    extra = [f"{what} {key} should not be there" for key in found.keys() - expected.keys()]
    wrong = [
        f"{what} {key} is {found[key]}, not {value}"
        for key, value in expected.items()
        if key in found and found[key] != value
    ]
    return [*missing[:_SHOWN], *extra[:_SHOWN], *wrong[:_SHOWN]]


def _counts(counted: Mapping[str, int], names: tuple[str, ...]) -> dict[str, int]:
    return {name: counted.get(name, 0) for name in names}


async def postgres_differences(core: Core, world: World) -> list[str]:
    """Compare every table of the read models."""
    async with (
        core.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        return [
            *await _users(connection, world),
            *await _videos(connection, world),
            *await _comments(connection, world),
            *await _pairs(connection, world),
            *await _cases(connection, world),
            *await _commands(connection, world),
        ]


async def _users(connection: Any, world: World) -> list[str]:
    expected = {
        user: {**_counts(world.user_counts[user], _USER_COUNTS), "role": known.get("role")}
        for user in world.users.keys() | world.user_counts.keys()
        for known in [world.users.get(user, {})]
    }
    rows = await connection.fetch(
        f"SELECT id, CASE WHEN created_at IS NULL THEN NULL ELSE role END AS role, "
        f"{', '.join(_USER_COUNTS)} FROM users"
    )
    found = {str(r["id"]): {**_row(r, _USER_COUNTS), "role": r["role"]} for r in rows}
    return differences("users row", expected, found)


def _row(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in names}


async def _videos(connection: Any, world: World) -> list[str]:
    described = ("creator_id", "status", "visibility", "category", "tags", "blocked")
    expected = {
        video: {
            **{name: world.videos[video][name] for name in described},
            **_counts(world.video_counts[video], _VIDEO_COUNTS),
        }
        for video in world.videos
    }
    rows = await connection.fetch(
        "SELECT id, creator_id::text, status, visibility, category, tags, "
        "blocked_reason IS NOT NULL AS blocked, view_count AS views, like_count AS likes, "
        "comment_count AS comments, share_count AS shares FROM videos"
    )
    found = {str(r["id"]): _row(r, (*described, *_VIDEO_COUNTS)) for r in rows}
    return differences("videos row", expected, found)


async def _comments(connection: Any, world: World) -> list[str]:
    facts = ("video_id", "user_id", "parent_comment_id", "is_edited", "is_deleted", "is_hidden")
    expected = {
        comment: {
            **{name: known[name] for name in facts},
            **_counts(world.comment_counts[comment], _COMMENT_COUNTS),
        }
        for comment, known in world.comments.items()
    }
    rows = await connection.fetch(
        "SELECT id, video_id::text, user_id::text, parent_comment_id::text, is_edited, is_deleted, "
        f"is_hidden, {', '.join(_COMMENT_COUNTS)} FROM comments"
    )
    found = {str(r["id"]): _row(r, (*facts, *_COMMENT_COUNTS)) for r in rows}
    return differences("comments row", expected, found)


async def _pairs(connection: Any, world: World) -> list[str]:
    tables = {
        "likes": ("user_id, video_id", world.likes),
        "subscriptions": ("subscriber_id, creator_id", world.follows),
        "comment_likes": ("user_id, comment_id", world.comment_likes),
        "comment_reports": ("reporter_id, comment_id", world.comment_reports),
    }
    problems = []
    for table, (columns, pairs) in tables.items():
        rows = await connection.fetch(f"SELECT {columns} FROM {table}")
        found = {(str(row[0]), str(row[1])): True for row in rows}
        problems.extend(differences(f"{table} row", dict.fromkeys(pairs, True), found))
    return problems


async def _cases(connection: Any, world: World) -> list[str]:
    reported = {comment for _, comment in world.comment_reports}
    expected = {
        subject: (case.get("action"), case.get("decision"))
        for subject in world.cases.keys() | reported
        for case in [world.cases.get(subject, {})]
    }
    rows = await connection.fetch("SELECT subject_id, action, decision FROM moderation_cases")
    found = {str(row["subject_id"]): (row["action"], row["decision"]) for row in rows}
    return differences("moderation case", expected, found)


async def _commands(connection: Any, world: World) -> list[str]:
    rows = await connection.fetch(
        "SELECT command_id, accepted, event_count, stream_version FROM command_log"
    )
    found = {
        str(r["command_id"]): (r["accepted"], r["event_count"], r["stream_version"]) for r in rows
    }
    return differences("command", world.commands, found)


async def redis_differences(core: Core, world: World) -> list[str]:
    """Compare counters, sessions, revocations and trends."""
    redis: Any = Redis.from_url(core.places.redis, decode_responses=True)
    namespace = core.settings.namespace
    try:
        return [
            *await _counters(redis, await _live(redis, namespace, "hot_counters"), world),
            *await _sessions(redis, namespace, world),
            *await _trends(redis, await _live(redis, namespace, "trending"), world),
        ]
    finally:
        await redis.aclose()


async def _live(redis: Any, namespace: str, projection: str) -> str:
    """Return what the keys of the build that readers see begin with."""
    return f"{namespace}{projection}:{await redis.get(f'{namespace}{projection}:live')}:"


async def _keys(redis: Any, prefix: str) -> list[str]:
    return [key.removeprefix(prefix) async for key in redis.scan_iter(f"{prefix}*", count=1000)]


async def _counters(redis: Any, build: str, world: World) -> list[str]:
    prefix = f"{build}counters:"
    found = {}
    for video in await _keys(redis, prefix):
        counted = {name: int(n) for name, n in (await redis.hgetall(prefix + video)).items()}
        found[video] = _counts(counted, _VIDEO_COUNTS)
    expected = {video: _counts(c, _VIDEO_COUNTS) for video, c in world.video_counts.items() if c}
    return differences("counters of", expected, found)


async def _sessions(redis: Any, namespace: str, world: World) -> list[str]:
    later = time.time() + _EXPIRY_MARGIN_S
    problems = []
    ends = {name: epoch_s(body["expires_at"]) for name, body in world.sessions.items()}
    revoked = {name: epoch_s(end) for name, end in world.revoked.items()}
    for family, known in (("session:", ends), ("revoked:", revoked)):
        living = {name for name, end in known.items() if end > later}
        found = set(await _keys(redis, namespace + family)) - (known.keys() - living)
        problems.extend(
            differences(f"redis {family}", dict.fromkeys(living, True), dict.fromkeys(found, True))
        )
    return problems


async def _trends(redis: Any, prefix: str, world: World) -> list[str]:
    kept_s = {"minutes": 300 + 3600, "hours": 3600 + 7 * 86_400}
    later = time.time() + _EXPIRY_MARGIN_S
    problems = []
    for (family, start_s), scores in world.trends.items():
        if start_s + kept_s[family] > later:
            key = f"{family}:{start_s}"
            pairs = await redis.zrange(prefix + key, 0, -1, withscores=True)
            found = {video: int(score) for video, score in pairs if score}
            expected = {video: score for video, score in scores.items() if score}
            problems.extend(differences(f"trend {key} of", expected, found))
    return problems


async def clickhouse_differences(core: Core, world: World) -> list[str]:
    """Compare the facts, each exactly once, and the daily figures."""
    views = await _clickhouse(core, "SELECT event_id FROM views")
    engagement = await _clickhouse(core, "SELECT event_id FROM engagement")
    days = await _clickhouse(
        core,
        "SELECT toString(video_id) AS video, toString(day) AS day, toInt32(views) AS views, "
        "toInt32(unique_viewers) AS viewers, round(total_watch_time, 3) AS watched "
        "FROM video_stats_daily",
    )
    found_days = {
        (d["video"], d["day"]): (d["views"], d["viewers"], float(d["watched"])) for d in days
    }
    return [
        *differences(
            "fact in views",
            Counter(entry.event_id for entry in world.views),
            Counter(row["event_id"] for row in views),
        ),
        *differences(
            "fact in engagement",
            Counter(world.engagement),
            Counter(row["event_id"] for row in engagement),
        ),
        *differences("daily figures of", _days(world), found_days),
    ]


def _days(world: World) -> dict[tuple[str, str], tuple[int, int, float]]:
    views: Counter[tuple[str, str]] = Counter()
    viewers: dict[tuple[str, str], set[str]] = defaultdict(set)
    watched: Counter[tuple[str, str]] = Counter()
    for entry in world.views:
        body = entry.body
        day = body["video_id"], entry.time[:10]
        views[day] += 1
        viewers[day].add(body["user_id"] or body["session_id"])
        watched[day] += body["watch_duration_seconds"]
    return {day: (n, len(viewers[day]), round(watched[day], 3)) for day, n in views.items()}


async def _clickhouse(core: Core, query: str) -> list[dict[str, Any]]:
    url = urlsplit(core.places.clickhouse)
    async with httpx.AsyncClient(timeout=30.0) as client:
        response = await client.post(
            f"{url.scheme}://{url.hostname}:{url.port}/",
            params={
                "database": f"{core.settings.namespace}streamhub",
                "default_format": "JSONCompact",
                "output_format_json_quote_64bit_integers": "0",
            },
            content=query,
            auth=(url.username or "default", url.password or ""),
        )
    assert response.status_code == 200, response.text
    answer = response.json()
    names = [column["name"] for column in answer["meta"]]
    return [dict(zip(names, row, strict=True)) for row in answer["data"]]


async def opensearch_differences(core: Core, world: World) -> list[str]:
    """Compare the documents of videos, and that each creator has one."""
    described = ("creator_id", "status", "visibility", "category")
    expected = {
        video: {
            **{name: known[name] for name in described},
            "tags": [] if known["status"] == "deleted" else list(known["tags"]),
            "blocked": known["blocked"],
            "deleted": known["status"] == "deleted",
            **_counts(world.video_counts[video], ("views", "likes")),
        }
        for video, known in world.videos.items()
    }
    documents = await _documents(core, "videos")
    found = {
        name: {
            **{field: document.get(field) for field in described},
            "tags": document.get("tags", []),
            "blocked": document.get("blocked", False),
            "deleted": document.get("deleted", False),
            **_counts(document, ("views", "likes")),
        }
        for name, document in documents.items()
    }
    creators = await _documents(core, "creators")
    return [
        *differences("search document", expected, found),
        *differences(
            "creator's document",
            dict.fromkeys(world.users, True),
            dict.fromkeys(creators, True),
        ),
    ]


async def _documents(core: Core, index: str) -> dict[str, dict[str, Any]]:
    url = f"{core.places.opensearch}/{core.settings.namespace}{index}/_search"
    async with httpx.AsyncClient(timeout=30.0) as client:
        found: dict[str, dict[str, Any]] = {}
        body: dict[str, Any] = {"size": 10_000, "sort": ["id"], "query": {"match_all": {}}}
        while True:
            response = await client.post(url, json=body)
            assert response.status_code == 200, response.text
            hits = response.json()["hits"]["hits"]
            found |= {hit["_id"]: hit["_source"] for hit in hits}
            if len(hits) < body["size"]:
                return found
            body["search_after"] = hits[-1]["sort"]
