"""Routes that cost a request little, made like any other of FastAPI's.

FastAPI solves every dependency of a route anew for each request, and most of ours take nothing
but the request and the answer. Those are called by hand, in one function around the endpoint; so
FastAPI has only to check what clients send. Where they send no more than a path, as to a watch page
or with a like, the endpoint is called without FastAPI's round of stacks, bodies, queries and
cookies, which takes longer than most endpoints. So it is where they send a query that was sent
before: what FastAPI made of it then is good again. What ``/docs`` says, and what is wrong with a
request, stays FastAPI's to tell.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Any, get_args

from fastapi import Request, Response, params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.types import Receive, Scope, Send

#: What is called with a request and its answer, and gives an endpoint one of its arguments.
Look = Callable[[Request, Response], Awaitable[Any]]
Endpoint = Callable[..., Any]

#: Queries that a route knows at most, and bytes of the longest: room for those that come again.
_KNOWN_QUERIES = 1_000
_KNOWN_BYTES = 200
#: Where a request carries what hears the values that FastAPI made of its query.
_HEARS = "streamhub.hears"


async def _request(request: Request, _response: Response) -> Request:
    return request


async def _response(_request: Request, response: Response) -> Response:
    return response


class Route(APIRoute):
    """A route whose endpoint gets by hand whatever only looks at the request and the answer."""

    def __init__(
        self,
        path: str,
        endpoint: Endpoint,
        *,
        dependencies: Sequence[params.Depends] | None = None,
        **options: Any,
    ) -> None:
        looks = [(each, _look_of(each)) for each in dependencies or ()]
        first = [look for _, look in looks if look is not None]
        rest = [each for each, look in looks if look is None]
        looking, sent = _looking(endpoint, first, options.get("status_code") or 200)
        super().__init__(path, looking, dependencies=rest, **options)
        if not rest and _is_all_in_url(self.dependant):
            in_path = self.param_convertors.keys()
            self._in_path = {name: TypeAdapter(sent[name]) for name in in_path}
            self._has_query = sent.keys() != in_path
            #: Query -> values of parameters that are not in the path; nobody changes them.
            self._known: dict[bytes, Mapping[str, Any]] = {}
            self._shape = TypeAdapter(self.response_model)
            self._usual_app = self.app
            self.app = self._app

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        values = self._values(scope)
        if values is None:
            if self._has_query:
                scope[_HEARS] = self._hear
            await self._usual_app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        answer = Response(status_code=self.status_code or 200, media_type="application/json")
        result = await self.endpoint(request, answer, **values)
        response = result if isinstance(result, Response) else self._filled(answer, result)
        await response(scope, receive, send)

    def _values(self, scope: Scope) -> dict[str, Any] | None:
        """Return what the request says, or None where that is FastAPI's to find out, or wrong."""
        asked = self._known.get(scope["query_string"]) if self._has_query else {}
        if asked is None:
            return None
        path = scope["path_params"]
        try:
            found = {name: kind.validate_python(path[name]) for name, kind in self._in_path.items()}
        except ValidationError:
            return None
        return {**found, **asked}

    def _hear(self, query: bytes, values: Mapping[str, Any]) -> None:
        if len(query) > _KNOWN_BYTES:
            return
        if len(self._known) >= _KNOWN_QUERIES:
            self._known.clear()
        self._known[query] = {name: values[name] for name in values.keys() - self._in_path.keys()}

    def _filled(self, answer: Response, result: Any) -> Response:
        shaped = self._shape.validate_python(result, from_attributes=True)
        return _written(answer, self._shape.dump_json(shaped, by_alias=True))


def _looking(
    endpoint: Endpoint, first: Sequence[Look], status: int
) -> tuple[Endpoint, dict[str, Any]]:
    """Return the endpoint with the looks done by itself, and the types of what clients send."""
    signature = inspect.signature(endpoint, eval_str=True)
    parameters = signature.parameters.values()
    looks = {p.name: look for p in parameters if (look := _look_at(p.annotation)) is not None}

    @wraps(endpoint)
    async def looking(request: Request, response: Response, **values: Any) -> Any:
        if hears := request.scope.get(_HEARS):
            hears(request.scope["query_string"], values)
        for look in first:
            await look(request, response)
        for name, look in looks.items():
            values[name] = await look(request, response)
        result = await endpoint(**values)
        if not isinstance(result, bytes):
            return result
        # JSON already, made once for several requests; FastAPI's answer is still an empty one.
        response.status_code = response.status_code or status
        response.headers.setdefault("content-type", "application/json")
        return _written(response, result)

    sent = [p.replace(kind=p.KEYWORD_ONLY) for p in parameters if p.name not in looks]
    given = [_given("request", Request), _given("response", Response)]
    looking.__signature__ = signature.replace(parameters=[*given, *sent])  # type: ignore[attr-defined]
    return looking, {p.name: p.annotation for p in sent}


def _is_all_in_url(dependant: Dependant, *, is_within: bool = False) -> bool:
    """Say whether an endpoint's arguments follow from path and query alone, looks aside."""
    elsewhere = (dependant.header_params, dependant.cookie_params, dependant.body_params)
    # What else dependencies within it take is a request's own.
    own = (
        dependant.path_params,
        dependant.request_param_name,
        dependant.http_connection_param_name,
        dependant.response_param_name,
        dependant.background_tasks_param_name,
        dependant.security_scopes_param_name,
    )
    return (
        not any(elsewhere)
        and not (is_within and any(own))
        and all(_is_all_in_url(each, is_within=True) for each in dependant.dependencies)
    )


def _written(answer: Response, body: bytes) -> Response:
    answer.body = body
    answer.headers["content-length"] = str(len(body))
    return answer


def _given(name: str, kind: type) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)


def _look_at(annotation: Any) -> Look | None:
    """Return what gives a parameter its value, or None where clients do."""
    if annotation is Request:
        return _request
    if annotation is Response:
        return _response
    found = [each for each in get_args(annotation) if isinstance(each, params.Depends)]
    return _look_of(found[0]) if found else None


def _look_of(dependency: params.Depends) -> Look | None:
    """Return a dependency as a look, or None when it takes more than request and answer."""
    call = dependency.dependency
    if call is None or not inspect.iscoroutinefunction(call):
        return None
    kinds = [p.annotation for p in inspect.signature(call, eval_str=True).parameters.values()]
    if kinds == [Request, Response]:
        return call
    return _of_request(call) if kinds == [Request] else None


def _of_request(call: Callable[[Request], Awaitable[Any]]) -> Look:
    return lambda request, _response: call(request)
