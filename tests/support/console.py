"""The operators' console over HTTP, as a browser without scripts uses it."""

from __future__ import annotations

import html
import re
from types import TracebackType

import httpx

from tests.support.api import Person

_TIMEOUT_S = 60.0


class Console:
    """A browser at the console, which keeps its cookies and follows no redirect by itself.

    ``source`` is the address to come from.
    """

    def __init__(self, url: str, source: str | None = None) -> None:
        self.url = url
        transport = httpx.AsyncHTTPTransport(local_address=source)
        self.http = httpx.AsyncClient(
            base_url=f"{url}/console", transport=transport, timeout=_TIMEOUT_S
        )

    async def __aenter__(self) -> Console:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.http.aclose()

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self.http.get(path, params=query or None)

    async def post(
        self, path: str, fields: dict[str, str] | None = None, **headers: str
    ) -> httpx.Response:
        """Send a form as a page of the console does."""
        sent = {"Origin": self.url, **headers}
        return await self.http.post(path, data=fields or {}, headers=sent)

    async def sign_in(self, person: Person, onwards: str = "") -> httpx.Response:
        fields = {"email": person.email, "password": person.password, "next": onwards}
        return await self.post("/sign-in", fields)


def text_of(answer: httpx.Response) -> str:
    """Return what a page says, without its tags, spaces run together."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())
