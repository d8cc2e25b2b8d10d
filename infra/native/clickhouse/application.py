"""ClickHouse's HTTP interface as an ASGI application over the embedded engine.

The event loop reads requests and writes answers; each engine call runs in a bounded pool of
threads, with Python's lock released by the engine, so statements run in parallel and queue when
the pool is full. A request's body is decoded and fed to the engine in portions, so an insert of
any size needs little memory. A SELECT without ``wait_end_of_query`` is streamed when its format
allows it; everything else is answered whole, so that its status and summary are right.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import ParamSpec, TypeVar

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response

from infra.native.clickhouse.answers import (
    common_headers,
    exception_response,
    new_exception_tag,
    result_headers,
    tagged_exception,
)
from infra.native.clickhouse.bodies import BodyReader
from infra.native.clickhouse.compression import Encoder, choose_encoding
from infra.native.clickhouse.engine import (
    STREAMABLE_FORMATS,
    Engine,
    Insert,
    Result,
    StatementKind,
)
from infra.native.clickhouse.errors import ExceptionCode, ServerError
from infra.native.clickhouse.requests import (
    Request,
    authenticate,
    is_form,
    read_form,
    read_request,
)
from infra.native.clickhouse.sessions import Lease, Sessions
from infra.native.clickhouse.statements import (
    DataInsert,
    data_insert,
    first_word,
    output_format,
    reads_input_function,
)
from infra.native.clickhouse.streams import Begun, ResultStream, StreamedResponse

_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")

# A statement with data must show its FORMAT within the first portion of the body.
_FIRST_PORTION = 1 << 20
_INSERT_PORTION = 4 << 20
# A result up to this size is answered whole even where it could be streamed.
_STREAM_THRESHOLD = 1 << 20
_STREAMED_BY = frozenset({"SELECT", "WITH"})
_ALLOWED_IN_GET = frozenset({"SET", "USE"})


class ClickHouseServer:
    """Answers requests; ``close`` after the last one."""

    def __init__(self, engine: Engine, password: str, threads: int) -> None:
        """``threads`` bounds the statements that run at the same time."""
        self._engine = engine
        self._password = password
        self._sessions = Sessions(engine)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="statement")

    def close(self) -> None:
        """Wait for the running statements, close the sessions and stop the engine."""
        self._threads.shutdown()
        self._sessions.close()
        self._engine.close()

    async def answer(self, http: HttpRequest) -> Response:
        """Answer any request to the server."""
        if http.url.path in {"/ping", "/replicas_status"}:
            return PlainTextResponse("Ok.\n")
        if http.url.path not in {"/", "/query"}:
            text = f"There is no handle {http.url.path}\n"
            return PlainTextResponse(text, status_code=404)
        query_id = http.query_params.get("query_id") or str(uuid.uuid4())
        try:
            return await self._answer_statement(http, query_id)
        except ServerError as failure:
            return exception_response(self._engine, failure, query_id)
        except ClientDisconnect:
            return Response(status_code=400)

    async def _answer_statement(self, http: HttpRequest, query_id: str) -> Response:
        fields = {"query_id": query_id, **http.query_params}
        authenticate(fields, http.headers, self._password)
        encoding = http.headers.get("content-encoding", "").lower()
        body = BodyReader(aiter(http.stream()), encoding)
        media_type = http.headers.get("content-type", "")
        if is_form(media_type):
            fields, tables = read_form(media_type, await body.rest(), fields)
            request = replace(
                read_request(http.method, fields, http.headers), external_tables=tables
            )
        else:
            request = read_request(http.method, fields, http.headers)
        encoder = self._encoder(request, http)
        return await self._dispatch(request, body, encoder)

    def _encoder(self, request: Request, http: HttpRequest) -> Encoder | None:
        if not request.compress:
            return None
        encoding = choose_encoding(http.headers.get("accept-encoding", ""))
        return Encoder(encoding) if encoding else None

    async def _dispatch(
        self, request: Request, body: BodyReader, encoder: Encoder | None
    ) -> Response:
        text = request.statement
        if text:
            text += b"\n"
        text += await body.portion(_FIRST_PORTION)
        insert = data_insert(text)
        if insert:
            return await self._answer_insert(request, insert, text[insert.data_offset :], body)
        text += await body.rest()
        if not text.strip():
            return self._answer_nothing(request)
        if _may_stream(request, text):
            return await self._answer_stream(request, text, encoder)
        return await self._answer_whole(request, text, encoder)

    def _answer_nothing(self, request: Request) -> Response:
        """A bare GET / is how people look whether a server is there."""
        if request.read_only:
            return PlainTextResponse("Ok.\n")
        raise ServerError.of(ExceptionCode.SYNTAX_ERROR, "Syntax error: Empty query")

    async def _answer_insert(
        self, request: Request, insert: DataInsert, data: bytes, body: BodyReader
    ) -> Response:
        if request.read_only:
            raise _refused_by_get()
        lease, stream = await self._run(self._begin_insert, request, insert, data)
        try:
            while not body.finished:
                portion = await body.portion(_INSERT_PORTION)
                await self._run(stream.append, portion)
            result = await self._run(_finish_insert, stream, lease)
        except BaseException:
            await self._run(_end_insert, stream, lease)
            raise
        headers = result_headers(request.default_format, result, None)
        return Response(headers=common_headers(self._engine, request.query_id) | headers)

    def _begin_insert(
        self, request: Request, insert: DataInsert, data: bytes
    ) -> tuple[Lease, Insert]:
        lease = Lease.take(self._engine, self._sessions, request)
        try:
            stream = lease.connection.insert(insert.header, insert.input_format)
        except ServerError:
            lease.release()
            raise
        try:
            stream.append(data)
        except ServerError:
            _end_insert(stream, lease)
            raise
        return lease, stream

    async def _answer_whole(
        self, request: Request, text: bytes, encoder: Encoder | None
    ) -> Response:
        result, content = await self._run(self._run_whole, request, text, encoder)
        written_in = output_format(text) or request.default_format
        headers = result_headers(written_in, result, encoder)
        return Response(content, headers=common_headers(self._engine, request.query_id) | headers)

    def _run_whole(
        self, request: Request, text: bytes, encoder: Encoder | None
    ) -> tuple[Result, bytes]:
        lease = Lease.take(self._engine, self._sessions, request)
        try:
            _refuse_what_the_server_refuses(lease, request, text)
            result = lease.query(text)
        finally:
            lease.release()
        if encoder is None:
            return result, result.body
        return result, encoder.encode(result.body) + encoder.finish()

    async def _answer_stream(
        self, request: Request, text: bytes, encoder: Encoder | None
    ) -> Response:
        begun = await self._run(self._begin_stream, request, text)
        written_in = output_format(text) or request.default_format
        headers = common_headers(self._engine, request.query_id)
        if begun.blocks is None:
            headers |= result_headers(written_in, Result(begun.head), encoder)
            content = encoder.encode(begun.head) + encoder.finish() if encoder else begun.head
            return Response(content, headers=headers)
        tag = new_exception_tag()
        headers |= result_headers(written_in, Result(), encoder)
        headers["X-ClickHouse-Exception-Tag"] = tag
        stream = ResultStream(begun, encoder, partial(tagged_exception, self._engine, tag))
        return StreamedResponse(stream, self._threads, headers)

    def _begin_stream(self, request: Request, text: bytes) -> Begun:
        lease = Lease.take(self._engine, self._sessions, request)
        try:
            _refuse_what_the_server_refuses(lease, request, text)
            blocks = lease.connection.stream(text, request.default_format, request.parameters)
            head: list[bytes] = []
            size = 0
            for block in blocks:
                head.append(block)
                size += len(block)
                if size >= _STREAM_THRESHOLD:
                    return Begun(lease, b"".join(head), blocks)
        except ServerError:
            lease.release()
            raise
        lease.release()
        return Begun(lease, b"".join(head), None)

    async def _run(
        self,
        function: Callable[_Parameters, _Returned],
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> _Returned:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))


def _finish_insert(stream: Insert, lease: Lease) -> Result:
    """Commit, and give the connection back before the client hears of it."""
    result = stream.finish()
    lease.release()
    return result


def _end_insert(stream: Insert, lease: Lease) -> None:
    try:
        stream.cancel()
    finally:
        lease.release()


def _may_stream(request: Request, text: bytes) -> bool:
    written_in = output_format(text) or request.default_format
    return (
        not request.wait_end_of_query
        and written_in in STREAMABLE_FORMATS
        and first_word(text) in _STREAMED_BY
    )


def _refuse_what_the_server_refuses(lease: Lease, request: Request, text: bytes) -> None:
    """Raise ServerError for what the engine would run and a ClickHouse server would not."""
    classification = lease.connection.classify(text)
    if classification.statements > 1:
        raise ServerError.of(
            ExceptionCode.SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed)"
        )
    changes = classification.kind not in {StatementKind.READ_ONLY, StatementKind.UNKNOWN}
    if request.read_only and changes and first_word(text) not in _ALLOWED_IN_GET:
        raise _refused_by_get()
    if reads_input_function(text):
        raise ServerError.of(
            ExceptionCode.NOT_IMPLEMENTED,
            "INSERT SELECT from input() is not supported by the embedded engine",
        )


def _refused_by_get() -> ServerError:
    return ServerError.of(
        ExceptionCode.READONLY,
        "Cannot execute query in readonly mode. For queries over HTTP, method GET implies "
        "readonly. You should use method POST for modifying queries.",
    )
