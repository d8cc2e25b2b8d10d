"""The log is away: commands are refused at once, and what was refused never happens."""

from __future__ import annotations

from tests.conftest import Servers
from tests.support.api import Answer, Api, Person
from tests.support.positions import settled
from tests.support.servers import ServerControl
from tests.support.streamhub import StreamHub
from tests.support.videos import Backstage
from tests.support.waiting import eventually


async def test_without_a_log_commands_are_refused_and_never_parked(
    streamhub: StreamHub,
    servers: Servers,
    api: Api,
    person: Person,
    video: str,
    backstage: Backstage,
) -> None:
    """W7: 503 with Retry-After; reads go on; nothing that was refused is decided afterwards."""
    body = {"videoId": video, "text": "into the void"}
    await person.get(f"/videos/{video}")
    with ServerControl(servers).stopped("kafka"):
        refused = [await person.post("/comments", body) for _ in range(3)]
        read = await api.call("GET", f"/videos/{video}")
    for answer in refused:
        assert (answer.status, answer.code) == (503, "LOG_UNAVAILABLE"), answer
        assert int(answer.headers["retry-after"]) >= 1
    assert read.status == 200

    async def accepted() -> Answer | None:
        answer = await person.post("/comments", {**body, "text": "back again"})
        return answer if answer.status == 201 else None

    await eventually("commands are decided again", accepted, 90.0)
    await settled(backstage.core, 120.0)
    comments = await person.get(f"/videos/{video}/comments")
    assert {row["text"] for row in comments.data} == {"back again"}
