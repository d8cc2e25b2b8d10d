"""The one shape of every JSON answer: ``{"success", "data", "error", "meta"}``."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.alias_generators import to_camel

T = TypeVar("T")


class ApiModel(BaseModel):
    """What clients send and get: camelCase outside, snake_case inside."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, str_strip_whitespace=True
    )


class RequestModel(ApiModel):
    """A body that clients send; a field that we do not know is an error, not a silent loss."""

    model_config = ConfigDict(extra="forbid")


class ErrorDetail(ApiModel):
    """One wrong field."""

    field: str
    message: str


class ErrorBody(ApiModel):
    code: str
    message: str
    details: list[ErrorDetail] = []


class CommandMeta(ApiModel):
    """Which command was decided, and the version of its stream afterwards."""

    id: str
    stream_version: int


class Pagination(ApiModel):
    page: int
    limit: int
    total: int
    total_pages: int
    next_cursor: str | None = None


class RateLimitMeta(ApiModel):
    limit: int
    remaining: int
    reset_seconds: int


class Meta(ApiModel):
    """Facts beside the data: the flat paging fields of lists, and the nested objects."""

    page: int | None = None
    limit: int | None = None
    total: int | None = None
    total_pages: int | None = None
    next_cursor: str | None = None
    query: str | None = None
    pagination: Pagination | None = None
    rate_limit: RateLimitMeta | None = None
    command: CommandMeta | None = None

    @model_serializer(mode="wrap")
    def _only_what_is_known(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out what an answer has nothing to say about."""
        return {name: value for name, value in handler(self).items() if value is not None}


class Envelope(ApiModel, Generic[T]):
    """An answer that worked."""

    success: bool = True
    data: T
    error: None = None
    meta: Meta = Field(default_factory=Meta)


class Failure(ApiModel):
    """An answer that did not."""

    success: bool = False
    data: None = None
    error: ErrorBody
    meta: Meta = Field(default_factory=Meta)
