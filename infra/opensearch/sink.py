"""OpenSearch as a sink: every document knows how far it is, so a step can be applied again.

A document's ``applied`` holds the offset of the last event that changed it, by partition; a script
leaves out what is not newer. That makes a step harmless to repeat, whole or in part, in whatever
batches it comes. Positions have an index of their own, one document a projection's version, which
is read by GET and therefore never stale. A step is recorded behind a refresh: what it did is found
by searches from then on. ``videos`` of version 3 is the index ``videos__v3`` behind the alias
``videos``.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from events.base import TopicPartition
from infra.opensearch.client import bulk, connect, store_errors
from infra.opensearch.library import RequestError
from projections.declaration import (
    AfterPoison,
    Change,
    Increment,
    Projection,
    Put,
    Store,
    Table,
)
from projections.ports import Move, PositionMoved, Step, StoreUnavailable
from projections.stamps import OFFSET

_SCRIPTS = {
    name: Path(__file__).with_name(f"{name}.painless").read_text(encoding="utf-8")
    for name in ("apply", "move")
}
#: Named by what they say: workers of two releases may share a cluster for a while.
_SCRIPT_IDS = {
    name: f"streamhub-{name}-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    for name, source in _SCRIPTS.items()
}
#: How often the server tries again where two writers met at one document.
_CONFLICT_RETRIES = 5
#: Documents that are compared at a time.
_DIGEST_DOCUMENTS = 2_000
_POSITIONS = "projection_positions"
_SETTINGS = {
    "number_of_shards": 1,
    "auto_expand_replicas": "0-1",
    # The sink refreshes behind each step; nothing else writes.
    "refresh_interval": "-1",
}
_NEVER_INDEXED = {"type": "object", "enabled": False}


def physical(namespace: str, table: Table, projection: Projection) -> str:
    """Return the name of the index that holds the documents of one version."""
    return f"{namespace}{table.name}__{projection.tag}"


class OpenSearchSink:
    """Implements ``projections.ports.Sink``; changes carry their offset (``stamps``)."""

    store = Store.OPENSEARCH
    pace_s = 0.5

    def __init__(self, url: str, namespace: str = "") -> None:
        self._client = connect(url)
        self._namespace = namespace
        self._positions_index = namespace + _POSITIONS

    async def prepare(self, projections: Sequence[Projection]) -> None:
        async with store_errors():
            for name, source in _SCRIPTS.items():
                script = {"script": {"lang": "painless", "source": source}}
                await self._client.put_script(id=_SCRIPT_IDS[name], body=script)
            await self._make_index(self._positions_index, {"positions": _NEVER_INDEXED})
            for projection in projections:
                for table in projection.tables:
                    index = physical(self._namespace, table, projection)
                    await self._make_index(index, _properties(table))
                    await self._make_alias(index, self._namespace + table.name)

    async def _make_index(self, index: str, properties: Mapping[str, Any]) -> None:
        if await self._client.indices.exists(index=index):
            return
        body = {"settings": _SETTINGS, "mappings": {"dynamic": False, "properties": properties}}
        try:
            await self._client.indices.create(index=index, body=body)
        except RequestError as error:
            if error.error != "resource_already_exists_exception":
                raise

    async def _make_alias(self, index: str, alias: str) -> None:
        """Point the alias at this version unless it already stands for one."""
        if not await self._client.indices.exists_alias(name=alias):
            await self._client.indices.put_alias(index=index, name=alias)

    async def positions(
        self, projections: Sequence[Projection]
    ) -> Mapping[str, Mapping[TopicPartition, int]]:
        stored = await self._stored(projections)
        return {
            name: {_source(field): position for field, position in fields.items()}
            for name, fields in stored.items()
        }

    async def apply(self, steps: Sequence[Step]) -> None:
        moves = [(step.source, move) for step in steps for move in step.moves]
        await self._check(moves)
        for piece in _pieces(moves):
            updates = [line for source, move in piece for line in self._updates(source, move)]
            if updates:
                await bulk(self._client, updates, refresh=True)
        lines = [line for source, move in moves for line in self._position(source, move)]
        results = await bulk(self._client, lines, refresh=False)
        for (source, move), result in zip(moves, results, strict=True):
            if result == "noop":
                raise PositionMoved(f"{move.projection.name} is not at {move.before} of {source}")

    async def switch(self, projection: Projection) -> None:
        actions: list[dict[str, Any]] = []
        for table in projection.tables:
            alias = self._namespace + table.name
            everywhere = {"index": f"{alias}__v*", "alias": alias, "must_exist": False}
            index = physical(self._namespace, table, projection)
            actions += [{"remove": everywhere}, {"add": {"index": index, "alias": alias}}]
        async with store_errors():
            await self._client.indices.update_aliases(body={"actions": actions})

    async def is_seen(self, projection: Projection) -> bool:
        async with store_errors():
            for table in projection.tables:
                alias = self._namespace + table.name
                if not await self._client.indices.exists_alias(name=alias):
                    return False
                behind = await self._client.indices.get_alias(name=alias)
                if set(behind) != {physical(self._namespace, table, projection)}:
                    return False
        return True

    async def drop(self, projection: Projection) -> None:
        async with store_errors():
            for table in projection.tables:
                index = physical(self._namespace, table, projection)
                if await self._client.indices.exists(index=index):
                    await self._client.indices.delete(index=index)
            await self._client.delete(
                index=self._positions_index, id=_position_id(projection), params={"ignore": 404}
            )

    async def digests(
        self, projection: Projection, only: Collection[str] | None = None
    ) -> AsyncIterator[Mapping[str, str]]:
        for table in projection.tables:
            index = physical(self._namespace, table, projection)
            async with store_errors():
                if only is None:
                    async for hits in self._all(index):
                        yield _digests(table, hits)
                    continue
                name = f"{table.name}:"
                mine = [key.removeprefix(name) for key in only if key.startswith(name)]
                for start in range(0, len(mine), _DIGEST_DOCUMENTS):
                    ids = mine[start : start + _DIGEST_DOCUMENTS]
                    answer = await self._client.mget(body={"ids": ids}, index=index)
                    yield _digests(table, [doc for doc in answer["docs"] if doc["found"]])

    async def _all(self, index: str) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Yield all documents of an index as they are now, in pieces."""
        await self._client.indices.refresh(index=index)
        body = {"size": _DIGEST_DOCUMENTS, "sort": ["_doc"]}
        page = await self._client.search(index=index, body=body, params={"scroll": "2m"})
        while hits := page["hits"]["hits"]:
            yield hits
            page = await self._client.scroll(body={"scroll_id": page["_scroll_id"], "scroll": "2m"})
        await self._client.clear_scroll(body={"scroll_id": [page["_scroll_id"]]})

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _check(self, moves: Sequence[tuple[TopicPartition, Move]]) -> None:
        """Refuse what does not follow: documents would take it as the newest."""
        stored = await self._stored([move.projection for _, move in moves])
        for source, move in moves:
            position = stored[move.projection.name].get(_field(source), 0)
            if position != move.before:
                raise PositionMoved(
                    f"{move.projection.name} is at {position} of {source}, not at {move.before}"
                )

    async def _stored(self, projections: Sequence[Projection]) -> dict[str, dict[str, int]]:
        """Return name of projection -> field of the partition -> position."""
        if not projections:
            return {}
        body = {"ids": [_position_id(projection) for projection in projections]}
        async with store_errors():
            answer = await self._client.mget(body=body, index=self._positions_index)
        return {
            projection.name: _positions_in(document)
            for projection, document in zip(projections, answer["docs"], strict=True)
        }

    def _updates(self, source: TopicPartition, move: Move) -> Iterable[Mapping[str, Any]]:
        tables = {table.name: table for table in move.projection.tables}
        for (table, document), changes in _by_document(move.changes).items():
            index = physical(self._namespace, tables[table], move.projection)
            params = {"source": _field(source), "changes": changes}
            yield from _update(index, document, "apply", params)

    def _position(self, source: TopicPartition, move: Move) -> Iterable[Mapping[str, Any]]:
        params = {"source": _field(source), "before": move.before, "after": move.after}
        return _update(self._positions_index, _position_id(move.projection), "move", params)


Moves = Sequence[tuple[TopicPartition, Move]]


def _pieces(moves: Moves) -> Iterable[Moves]:
    """Yield moves in what may be sent together.

    Documents of one request are written though another is refused. Of a projection that has the
    rest of a key wait nothing may be written past a refusal: so its records go one by one.
    """
    yield [each for each in moves if each[1].projection.after_poison is AfterPoison.GO_ON]
    for source, move in moves:
        if move.projection.after_poison is AfterPoison.PARK:
            for _, changes in groupby(move.changes, _offset):
                yield [(source, replace(move, changes=list(changes)))]


def _offset(change: Change) -> int:
    values = change.values if isinstance(change, Put) else change.amounts  # type: ignore[union-attr]
    return int(values[OFFSET])


def _digests(table: Table, documents: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {f"{table.name}:{each['_id']}": _digest(each["_source"]) for each in documents}


def _digest(document: Mapping[str, Any]) -> str:
    content = {name: value for name, value in document.items() if name != "applied"}
    body = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _positions_in(document: Mapping[str, Any]) -> dict[str, int]:
    """Return the positions in an answer of ``_mget``; an index that is not there holds none.

    A server that has just started answers, but may not have opened the index yet.
    """
    reason = document.get("error", {}).get("type")
    if reason not in {None, "index_not_found_exception"}:
        raise StoreUnavailable(f"OpenSearch: the positions cannot be read: {reason}")
    positions: dict[str, int] = document.get("_source", {}).get("positions", {})
    return positions


def _update(
    index: str, document: str, script: str, params: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    return [
        {"update": {"_index": index, "_id": document, "retry_on_conflict": _CONFLICT_RETRIES}},
        {
            "scripted_upsert": True,
            "upsert": {},
            "script": {"id": _SCRIPT_IDS[script], "params": params},
        },
    ]


def _by_document(changes: Iterable[Change]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return table and id -> its changes in order, as the script takes them.

    Between two of its ``Put`` a document's equal increments are one with many offsets: of what is
    viewed by thousands in a step, the server has hardly more to do than of what is viewed once.
    """
    documents: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    # Table and id -> amounts -> offsets, as long as only increments follow.
    adding: dict[tuple[str, str], dict[Any, list[int]]] = defaultdict(dict)
    for change in changes:
        if not isinstance(change, Increment | Put):
            raise TypeError(f"{type(change).__name__} is not a change of a document")
        place = (change.table, ":".join(map(str, change.key)))
        if isinstance(change, Put):
            values = dict(change.values)
            documents[place].append({"offsets": [values.pop(OFFSET)], "set": values})
            adding.pop(place, None)
            continue
        amounts = dict(change.amounts)
        offset = int(amounts.pop(OFFSET))
        alike = tuple(amounts.items())
        offsets = adding[place].get(alike)
        if offsets is None:
            offsets = adding[place][alike] = []
            documents[place].append({"offsets": offsets, "add": amounts})
        offsets.append(offset)
    return documents


def _properties(table: Table) -> dict[str, Any]:
    columns = {name: {"type": kind} for name, kind in table.columns.items()}
    return {**columns, **table.options.get("properties", {}), "applied": _NEVER_INDEXED}


def _position_id(projection: Projection) -> str:
    return f"{projection.name}:{projection.tag}"


def _field(source: TopicPartition) -> str:
    return f"{source.topic}:{source.partition}"


def _source(field: str) -> TopicPartition:
    topic, _, partition = field.rpartition(":")
    return TopicPartition(topic, int(partition))
