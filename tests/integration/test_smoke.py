from __future__ import annotations

from tests.support.api import Person
from tests.support.positions import settled
from tests.support.stores import check_everything
from tests.support.videos import Backstage


async def test_like(person: Person, video: str, backstage: Backstage) -> None:
    answer = await person.post(f"/videos/{video}/like")
    assert answer.status == 200
    await person.post(f"/videos/{video}/view")
    await person.post("/comments", {"videoId": video, "text": "hello"})
    found = await person.get(f"/videos/{video}")
    assert found.data["likes"] == 1
    assert found.data["creator"]["username"] == person.username
    await settled(backstage.core)
    log = await check_everything(backstage.core)
    assert log.events
