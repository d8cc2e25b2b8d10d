"""The API as clients use it: an HTTP client, and people who sign in and remember what they saw."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import httpx

from schemas.http import consistency
from tests.support.waiting import eventually

PASSWORD = "correct horse battery staple"
_TIMEOUT_S = 30.0
_ANSWERED_S = 60.0
#: People who are there for the whole run sign in again before their token of 15 minutes expires.
_SIGNED_IN_S = 600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the API, taken apart; ``body`` is the whole of its JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def data(self) -> Any:
        """The data of an answer that worked."""
        assert self.body["success"] is True, self
        return self.body["data"]

    @property
    def meta(self) -> Any:
        return self.body["meta"]

    @property
    def code(self) -> str:
        """The code of an answer that refused."""
        assert self.body["success"] is False, self
        return str(self.body["error"]["code"])

    @property
    def is_final(self) -> bool:
        """Whether it does not ask the client to come again with the same key."""
        is_running = self.status == 409 and self.code == "IDEMPOTENCY_KEY_IN_USE"
        return self.status not in {202, 429, 503} and not is_running

    @property
    def fields(self) -> dict[str, str]:
        """Wrong field -> what is wrong with it."""
        details = self.body["error"]["details"]
        return {detail["field"]: detail["message"] for detail in details}

    @property
    def command_id(self) -> str:
        return str(self.meta["command"]["id"])

    @property
    def token(self) -> str:
        """The consistency token that came with it."""
        return self.headers["consistency-token"]


class Api:
    """The API under a URL; ``source`` is the address to come from."""

    def __init__(self, url: str, source: str | None = None) -> None:
        self.url = url
        transport = httpx.AsyncHTTPTransport(
            local_address=source, limits=httpx.Limits(max_connections=300)
        )
        self._http = httpx.AsyncClient(base_url=url, transport=transport, timeout=_TIMEOUT_S)

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def raw(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return httpx's own response; paths are below the root, not below ``/api/v1``."""
        return await self._http.request(method, path, **options)

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        key: str = "",
        seen: str = "",
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Call a route below ``/api/v1``, with bearer token, idempotency key, consistency token."""
        known = {
            "Authorization": f"Bearer {token}" if token else "",
            "Idempotency-Key": key,
            "Consistency-Token": seen,
        }
        sent = {name: value for name, value in known.items() if value} | dict(headers or {})
        response = await self._http.request(
            method, f"/api/v1{path}", json=body, headers=sent, params=params
        )
        return Answer(response.status_code, response.headers, response.json())


@dataclass(slots=True)
class Person:
    """Somebody with an account; ``seen`` is the consistency token of everything they did."""

    api: Api
    id: str
    username: str
    email: str
    token: str = ""
    refresh_token: str = ""
    seen: str = ""
    password: str = field(default=PASSWORD, repr=False)
    signed_in_at: float = field(default=0.0, repr=False)

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Call a route as this person, who insists on seeing their own writes."""
        if self.token and time.monotonic() - self.signed_in_at > _SIGNED_IN_S:
            await self.sign_in()
        options.setdefault("seen", self.seen)
        answer = await self.api.call(method, path, body, token=self.token, **options)
        self.saw(answer.headers.get("consistency-token", ""))
        return answer

    async def get(self, path: str, **params: Any) -> Answer:
        return await self.call("GET", path, params=params or None)

    async def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return await self.call("POST", path, body, **options)

    async def put(self, path: str, body: Any = None, **options: Any) -> Answer:
        return await self.call("PUT", path, body, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        return await self.call("DELETE", path, **options)

    def saw(self, token: str) -> None:
        """Take in what somebody else saw."""
        merged = consistency.merge(consistency.decode(self.seen), consistency.decode(token))
        self.seen = consistency.encode(merged) if merged else ""

    async def sign_in(self) -> Person:
        """Open a session; raises AssertionError when the credentials are refused."""
        body = {"email": self.email, "password": self.password}
        answer = await _answered(self.api, "/auth/login", body)
        assert answer.status == 200, answer
        self.token, self.refresh_token = answer.data["accessToken"], answer.data["refreshToken"]
        self.signed_in_at = time.monotonic()
        self.saw(answer.token)
        return self


def name(prefix: str = "user") -> str:
    """Return a name that nobody has."""
    return f"{prefix}_{secrets.token_hex(5)}"


async def _answered(api: Api, path: str, body: Any) -> Answer:
    """Post, and come again as long as the answer asks for it: a fault may just have been mended."""
    key = secrets.token_hex(8)

    async def attempt() -> Answer | None:
        answer = await api.call("POST", path, body, key=key)
        return answer if answer.is_final else None

    return await eventually(f"an answer to {path}", attempt, _ANSWERED_S)


async def register(api: Api, prefix: str = "user") -> Person:
    """Return somebody with a new account, not signed in."""
    username = name(prefix)
    email = f"{username}@example.org"
    body = {"username": username, "email": email, "password": PASSWORD}
    answer = await _answered(api, "/auth/register", body)
    assert answer.status == 201, answer
    person = Person(api, answer.data["id"], username, email)
    person.saw(answer.token)
    return person


async def sign_up(api: Api, prefix: str = "user") -> Person:
    """Return somebody with a new account, signed in."""
    return await (await register(api, prefix)).sign_in()


async def signed_up(api: Api, count: int, prefix: str = "user") -> list[Person]:
    """Return several people."""
    return [await sign_up(api, prefix) for _ in range(count)]


async def video_in_state(person: Person, video_id: str, status: str, timeout_s: float = 60) -> Any:
    """Return a video as the person sees it once it has that status."""

    async def look() -> Any:
        video = (await person.get(f"/videos/{video_id}")).data
        assert video["status"] == status, video
        return video

    return await eventually(f"video {video_id} {status}", look, timeout_s)
