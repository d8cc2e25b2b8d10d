"""What command endpoints need of the world, and how a request becomes a decided command."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request, Response

from commands.envelope import CommandEnvelope
from commands.ports import CommandBus
from events import clock
from events.base import Command
from events.errors import Conflict, Invalid, Unavailable, Unprocessable
from events.outcomes import CommandDecided
from events.privacy import KeyRing
from events.users import Role
from schemas.http import consistency, idempotency
from schemas.http.caller import Caller, TokenSigner, caller_of
from schemas.http.envelope import CommandMeta, Meta
from schemas.http.idempotency import IdempotencyKeys, KeyState


@dataclass(frozen=True, slots=True)
class Account:
    """What signing in needs to know of an account."""

    user_id: str
    password_hash: str
    role: Role


@dataclass(frozen=True, slots=True)
class CommentPlace:
    """Where a comment stands."""

    comment_id: str
    video_id: str
    deleted: bool = False


class Directory(Protocol):
    """Existence of other aggregates, as the read models know it.

    A miss is believed only after the read model has caught up with the log as it stood when the
    question was asked, so that what was just created is found.
    """

    async def account(self, email: str) -> Account | None:
        """Return the account with this email."""

    async def user_exists(self, user_id: str) -> bool:
        """Say whether there is such a user."""

    async def role(self, user_id: str) -> Role | None:
        """Return the role of a user, or None when there is no such user."""

    async def video_creator(
        self, video_id: str, caller_id: str | None, *, admin: bool
    ) -> str | None:
        """Return the creator of a video, or None when the caller may not see it."""

    async def comment(self, comment_id: str) -> CommentPlace | None:
        """Return where a comment stands, or stood until it was deleted."""


class Passwords(Protocol):
    """Slow hashing, off the event loop."""

    async def hash(self, password: str) -> str:
        """Return the hash to keep."""

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Say whether the password is right; takes as long when there is no hash."""


class UploadStorage(Protocol):
    """Where clients put their files."""

    def upload_url(self, key: str, content_type: str, issued_at: datetime, life: timedelta) -> str:
        """Return a presigned PUT; the same arguments give the same URL."""

    async def size(self, key: str) -> int | None:
        """Return the size of what was put there in bytes, or None when nothing was."""


class TextJudge(Protocol):
    """Judges a text."""

    async def score(self, text: str) -> float:
        """Return its toxicity, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Figures that the endpoints hold to."""

    access_token_life: timedelta
    session_life: timedelta
    upload_url_life: timedelta
    max_upload_bytes: int
    toxicity_threshold: float


class AppliedWaiter(Protocol):
    """Waits for read models to apply an outcome before the client is answered."""

    async def applied(self, store: str, domain: str, partition: int, offset: int) -> None:
        """Return when the projections of a store have applied the event, or after a while."""


@dataclass(frozen=True, slots=True)
class CommandServices:
    """Everything that command endpoints use."""

    bus: CommandBus
    keys: KeyRing
    idempotency: IdempotencyKeys
    directory: Directory
    passwords: Passwords
    storage: UploadStorage
    text_judge: TextJudge
    signer: TokenSigner
    limits: Limits
    waiter: AppliedWaiter
    #: Of the digests that tell requests apart: bodies may hold passwords, and outcomes stay.
    fingerprint_key: bytes


class Commander:
    """Has one request's command decided, once, whoever retries."""

    def __init__(
        self, services: CommandServices, caller: Caller, request: Request, response: Response
    ) -> None:
        self.services = services
        self.caller = caller
        self._request = request
        self._response = response
        self._key = request.headers.get(idempotency.HEADER)
        self._seen = dict(consistency.decode(request.headers.get(consistency.HEADER)))
        self._who = caller.identity or f"address:{caller.address}"
        self._command_id: str | None = None
        self._meta: CommandMeta | None = None
        self._time = clock.now()

    @property
    def time(self) -> datetime:
        """When the request came, UTC."""
        return self._time

    @property
    def meta(self) -> Meta:
        """The answer's meta: which command was decided."""
        return Meta(command=self._meta)

    @property
    def command_id(self) -> str:
        """The command's id: the same for each try of a request with an idempotency key."""
        if self._command_id is None:
            self._command_id = self._identify()
        return self._command_id

    def _identify(self) -> str:
        if self._key is None:
            return clock.new_id()
        if not 0 < len(self._key) <= idempotency.MAX_KEY_CHARACTERS:
            raise Invalid.field(
                idempotency.HEADER, f"must have 1 to {idempotency.MAX_KEY_CHARACTERS} characters"
            )
        return clock.id_from("idempotency", self._who, self._key)

    def speaks_for(self, who: str) -> None:
        """Say who asks where no access token does; a retry may come from another address."""
        self._who = hmac.digest(self.services.fingerprint_key, who.encode(), "sha256").hex()

    def new_id(self, purpose: str) -> str:
        """Return an id for something the request creates; a retry gets the same one."""
        if self._key is None:
            return clock.new_id()
        return clock.id_from(self.command_id, purpose)

    async def was_decided(self) -> bool:
        """Say whether this very request came before and was decided (W4)."""
        if self._key is None:
            return False
        fingerprint = await self._fingerprint()
        return await self.services.idempotency.is_finished(self.command_id, fingerprint)

    async def execute(self, command: Command) -> CommandDecided:
        """Return the outcome of the request's command.

        Raises:
            DomainError: the command was refused, now or when it was first sent.
            Conflict: the first try of this request is still running.
            Unprocessable: the idempotency key belongs to another request.
            Unavailable: the log is away; nothing was sent.
            OutcomePendingError: it was sent and is not decided yet.
        """
        fingerprint = await self._fingerprint() if self._key is not None else ""
        return await self.execute_as(command, self.command_id, fingerprint)

    async def execute_as(
        self, command: Command, command_id: str, fingerprint: str
    ) -> CommandDecided:
        """Have a command decided under an id of the caller's choice."""
        envelope = CommandEnvelope(
            command=command,
            command_id=command_id,
            time=self._time,
            correlation_id=self._request.state.correlation_id,
            causation_id=command_id,
            fingerprint=fingerprint,
            actor_id=self.caller.identity,
            traceparent=self._request.state.traceparent,
        )
        if self._key is None:
            return self._accept(await self.services.bus.send(envelope))
        return self._accept(await self._send_once(envelope))

    async def _send_once(self, envelope: CommandEnvelope) -> CommandDecided:
        """Send the command of a request that has a key; other tries of it wait meanwhile."""
        await self._begin(envelope.command_id, envelope.fingerprint)
        try:
            outcome = await self.services.bus.send(envelope)
        except Unavailable:
            await self.services.idempotency.release(envelope.command_id)
            raise
        await self.services.idempotency.finish(envelope.command_id)
        return outcome

    def _accept(self, outcome: CommandDecided) -> CommandDecided:
        place = outcome.position
        self._seen = consistency.merge(self._seen, {(place.domain, place.partition): place.offset})
        token = consistency.encode(self._seen)
        if outcome.refusal is not None:
            # It is answered by another response than the one that was begun.
            header = (consistency.HEADER.lower().encode(), token.encode())
            self._request.state.headers_to_add.append(header)
            raise outcome.refusal.error()
        self._response.headers[consistency.HEADER] = token
        self._meta = CommandMeta(id=outcome.command_id, stream_version=outcome.stream_version)
        return outcome

    async def _begin(self, command_id: str, fingerprint: str) -> None:
        match await self.services.idempotency.begin(command_id, fingerprint):
            case KeyState.RUNNING:
                raise Conflict(
                    "The first request with this idempotency key is still running",
                    code="IDEMPOTENCY_KEY_IN_USE",
                    retry_after_s=1.0,
                )
            case KeyState.OTHER_REQUEST:
                raise Unprocessable(
                    "The idempotency key was used for another request",
                    code="IDEMPOTENCY_KEY_REUSED",
                )
            case KeyState.FREE:
                return

    async def _fingerprint(self) -> str:
        digest = hmac.new(self.services.fingerprint_key, digestmod=hashlib.sha256)
        for part in (self._request.method, self._request.url.path):
            digest.update(part.encode() + b"\n")
        digest.update(await self._request.body())
        return digest.hexdigest()


async def _commander(request: Request, response: Response) -> Commander:
    """Fetch all by hand: each dependency costs a request about a twentieth of its time."""
    services = cast("CommandServices", request.app.state.commands)
    return Commander(services, await caller_of(request), request, response)


RequestCommander = Annotated[Commander, Depends(_commander)]
