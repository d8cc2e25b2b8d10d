"""Routes that cost little answer as FastAPI's own do, and are described as they are."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.routing import APIRoute

from schemas.http.envelope import ApiModel, Envelope, RequestModel
from schemas.http.routing import Route

ID = "01234567-89ab-7def-8123-456789abcdef"


class Person(ApiModel):
    full_name: str
    seen_by: str = ""


class Employee(Person):
    salary: int


class Wish(RequestModel):
    full_name: str


async def agent_of(request: Request) -> str:
    return request.headers.get("user-agent", "")


async def answered(_request: Request, response: Response) -> None:
    response.headers["X-Answered"] = "first"


async def fail(request: Request) -> None:
    if "x-fail" in request.headers:
        raise KeyError("x-fail")


async def limit_of(limit: Annotated[int, Query(ge=1)] = 3) -> int:
    return limit


Agent = Annotated[str, Depends(agent_of)]


async def one(person_id: UUID, agent: Agent) -> Envelope[Person]:
    """Return a person."""
    return Envelope(data=Person(full_name=str(person_id), seen_by=agent))


async def hired(person_id: UUID) -> Envelope[Person]:
    return Envelope(data=Employee(full_name=str(person_id), salary=1))


async def picture(person_id: UUID, request: Request) -> Response:
    return Response(f"{request.url.path} {person_id}", media_type="text/plain")


async def made(person_id: UUID) -> bytes:
    return f'{{"success":true,"data":{{"fullName":"{person_id}"}}}}'.encode()


async def made_for(limit: Annotated[int, Query(ge=1)] = 3) -> bytes:
    return f'{{"success":true,"data":{{"fullName":"{limit}"}}}}'.encode()


async def many(
    agent: Agent,
    limit: Annotated[int, Depends(limit_of)],
    x_sort: Annotated[str, Header()] = "name",
) -> Envelope[list[Person]]:
    return Envelope(data=[Person(full_name=x_sort, seen_by=agent)] * limit)


async def wish(
    person_id: UUID, agent: Agent, response: Response, body: Wish | None = None
) -> Envelope[Person]:
    response.headers["X-Wished"] = "yes"
    return Envelope(data=Person(full_name=body.full_name if body else "", seen_by=agent))


COUNTED: list[int] = []


async def counted_limit(limit: Annotated[int, Query(ge=1)] = 3) -> int:
    COUNTED.append(limit)
    return limit


async def counted(limit: Annotated[int, Depends(counted_limit)]) -> int:
    return limit


async def listed(
    person_id: UUID, limit: Annotated[int, Depends(limit_of)], agent: Agent, sort: str = "name"
) -> Envelope[list[Person]]:
    return Envelope(data=[Person(full_name=f"{person_id} {sort}", seen_by=agent)] * limit)


def application(route_class: type[APIRoute]) -> FastAPI:
    router = APIRouter(prefix="/people", tags=["people"], route_class=route_class)
    first = [Depends(fail), Depends(answered)]
    router.get("/{person_id}", dependencies=first)(one)
    router.post("/{person_id}/hire", status_code=201)(hired)
    router.get("/{person_id}/picture", dependencies=first)(picture)
    router.get("", dependencies=first)(many)
    router.get("/{person_id}/friends", dependencies=first)(listed)
    router.put("/{person_id}", dependencies=first)(wish)
    app = FastAPI()
    app.router.routes.extend(router.routes)
    app.add_exception_handler(KeyError, _refused)
    return app


async def _refused(_request: Request, error: Exception) -> Response:
    return Response(str(error), 400)


async def ask(app: FastAPI, method: str, path: str, **options: Any) -> Any:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://people") as client:
        answer = await client.request(method, path, **options)
    return answer.status_code, answer.headers.multi_items(), answer.content


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", f"/people/{ID}", {}),
        ("GET", f"/people/{ID}?unknown=1", {}),
        ("GET", "/people/nobody", {}),
        ("GET", f"/people/{ID}", {"headers": {"X-Fail": "1"}}),
        ("GET", f"/people/{ID}/", {}),
        ("HEAD", f"/people/{ID}", {}),
        ("POST", f"/people/{ID}/hire", {}),
        ("POST", "/people/nobody/hire", {}),
        ("GET", f"/people/{ID}/picture", {}),
        ("GET", "/people", {}),
        ("GET", "/people?limit=2", {"headers": {"X-Sort": "age"}}),
        ("GET", "/people?limit=0", {}),
        ("PUT", f"/people/{ID}", {}),
        ("PUT", f"/people/{ID}", {"json": {"fullName": "Grace"}}),
        ("PUT", f"/people/{ID}", {"json": {"name": "Grace"}}),
        ("PUT", f"/people/{ID}", {"content": b"{", "headers": {"Content-Type": "text/json"}}),
    ],
)
async def test_a_route_answers_as_fastapi_does(
    method: str, path: str, options: dict[str, Any]
) -> None:
    expected = await ask(application(APIRoute), method, path, **options)
    assert await ask(application(Route), method, path, **options) == expected


@pytest.mark.parametrize(
    ("known", "path", "options"),
    [
        (f"/people/{ID}/friends?limit=2", f"/people/{ID}/friends?limit=2", {}),
        (f"/people/{ID}/friends", f"/people/{ID}/friends", {"headers": {"User-Agent": "other"}}),
        (f"/people/{ID}/friends?limit=2", f"/people/{ID[:-1]}0/friends?limit=2", {}),
        (f"/people/{ID}/friends?limit=2", "/people/nobody/friends?limit=2", {}),
        (f"/people/{ID}/friends?limit=2", f"/people/{ID}/friends?limit=2&sort=age", {}),
        (f"/people/{ID}/friends?limit=0", f"/people/{ID}/friends?limit=0", {}),
        (f"/people/{ID}/friends?limit=2", f"/people/{ID}/friends?limit=2", {"method": "HEAD"}),
        (
            f"/people/{ID}/friends?limit=2",
            f"/people/{ID}/friends?limit=2",
            {"headers": {"X-Fail": "1"}},
        ),
        ("/people?limit=2", "/people?limit=2", {"headers": {"X-Sort": "age"}}),
    ],
)
async def test_a_query_that_came_before_is_answered_as_fastapi_does(
    known: str, path: str, options: dict[str, Any]
) -> None:
    method = {"method": "GET"} | options
    expected = await ask(application(APIRoute), path=path, **method)
    app = application(Route)
    await ask(app, "GET", known)
    assert await ask(app, path=path, **method) == expected


def counting() -> FastAPI:
    """Return an application that notes in ``COUNTED`` which limits FastAPI made out."""
    COUNTED.clear()
    router = APIRouter(route_class=Route)
    router.get("/friends")(counted)
    app = FastAPI()
    app.router.routes.extend(router.routes)
    return app


async def test_a_query_that_came_before_is_made_out_once() -> None:
    app = counting()
    limits = [2, 2, 4, 2, 4]
    answers = [(await ask(app, "GET", f"/friends?limit={limit}"))[2] for limit in limits]
    assert answers == [b"%d" % limit for limit in limits]
    assert COUNTED == [2, 4]


async def test_ever_new_queries_drive_older_ones_out() -> None:
    app = counting()
    limits = [*range(1, 1_002), 1]
    for limit in limits:
        await ask(app, "GET", f"/friends?limit={limit}")
    assert limits == COUNTED


async def test_a_long_query_is_made_out_each_time() -> None:
    app = counting()
    for _ in range(2):
        await ask(app, "GET", f"/friends?limit=2&other={'x' * 300}")
    assert COUNTED == [2, 2]


async def test_json_that_is_made_already_goes_out_as_it_is() -> None:
    router = APIRouter(route_class=Route)
    first = [Depends(answered)]
    router.get("/{person_id}", response_model=Envelope[Person], dependencies=first)(made)
    app = FastAPI()
    app.router.routes.extend(router.routes)
    status, headers, body = await ask(app, "GET", f"/{ID}")
    assert (status, body) == (200, await made(UUID(ID)))
    assert {("content-type", "application/json"), ("x-answered", "first")} <= set(headers)


@pytest.mark.parametrize("status", [None, 201])
async def test_json_that_is_made_already_goes_out_beside_parameters_too(status: int | None) -> None:
    router = APIRouter(route_class=Route)
    kept: dict[str, Any] = {"response_model": Envelope[Person], "status_code": status}
    router.get("/people", dependencies=[Depends(answered)], **kept)(made_for)
    app = FastAPI()
    app.router.routes.extend(router.routes)
    found, headers, body = await ask(app, "GET", "/people?limit=2")
    assert (found, body) == (status or 200, await made_for(2))
    assert {("content-type", "application/json"), ("x-answered", "first")} <= set(headers)
    assert (await ask(app, "GET", "/people?limit=0"))[0] == 422


def test_a_route_is_described_as_fastapi_does() -> None:
    assert application(Route).openapi() == application(APIRoute).openapi()


async def test_what_was_sent_is_checked_before_a_look() -> None:
    headers = {"X-Fail": "1"}
    status, _, _ = await ask(application(Route), "GET", "/people/nobody", headers=headers)
    assert status == 422
