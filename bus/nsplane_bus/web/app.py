"""What is served where: the pages' files, the data they load, and the stream of what happens."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import zmq
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from ..chain import chain
from ..client import Client
from ..errors import BusError
from ..graph.palette import style_sheet
from ..past import grouped
from ..protocol import Endpoints
from .browsers import Browser, Browsers, TooMany
from .follower import Follower
from .guard import Guard
from .picture import Picture
from .questions import Questions
from .rows import Row, chain_rows, request_row, row_of

STATIC = Path(__file__).parent / "static"
MOST_ITEMS = 20_000
"""Items that a browser is given; who has more narrows them by their keys' beginning or their state."""
PAGE = 5_000
REQUESTS = 1_000
"""Requests of the history that are looked through."""
GROUPS = 200
EVENTS = 500

_encode = msgspec.json.Encoder().encode


class Pages:
    """One agent's pages."""

    def __init__(self, where: Endpoints, names: Collection[str] = ()) -> None:
        self._where = where
        self.browsers: Browsers | None = None
        pages = Starlette(
            routes=[
                Route("/", self._index),
                Route("/api/stream", self._stream),
                Route("/api/items", self._items),
                Route("/api/item", self._item),
                Route("/api/past", self._past),
                Route("/api/requests", self._requests),
                Route("/api/picture", self._picture),
                Route("/graph.css", self._colours),
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            exception_handlers={BusError: unavailable, zmq.ZMQError: unavailable, OSError: unavailable},
            lifespan=self._life,
        )
        self.app = Guard(pages, names)

    @contextlib.asynccontextmanager
    async def _life(self, _app: Starlette) -> AsyncIterator[None]:
        self.browsers = Browsers()
        self._follower = Follower(self._where, self.browsers)
        self._questions = Questions(self._where)
        self._drawing = Picture(self._follower.links)
        self._follower.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self._follower.close)
            await asyncio.to_thread(self._questions.close)

    def end_streams(self) -> None:
        """Ends what would never end by itself."""
        if self.browsers is not None:
            self.browsers.close()

    async def _index(self, _request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def _stream(self, _request: Request) -> Response:
        assert self.browsers is not None
        return Stream(self.browsers)

    async def _items(self, request: Request) -> Response:
        prefix, state = request.query_params.get("prefix", ""), request.query_params.get("state") or None

        def listed(client: Client) -> dict[str, Any]:
            rows: list[Row] = []
            if state is None and not prefix:
                rows = [row_of(entry) for entry in client.get("microservice/") if entry["current"] or entry["state"] == "awaited"]
            found = client.get(prefix, state=state, limit=PAGE)
            rows += map(row_of, islice(found, MOST_ITEMS))
            return {"items": rows, "more": next(found, None) is not None}

        return json(await self._questions.ask(listed))

    async def _item(self, request: Request) -> Response:
        key = request.query_params.get("key", "")

        def found(client: Client) -> dict[str, Any]:
            entry = client.entry(key)
            if entry is None:
                return {"entry": None, "chain": [], "requests": []}
            source = entry.get("source")  # what is waited for and is nobody's has none
            of_source = [one for one in last_requests(client) if one["source"] == source] if source is not None else []
            groups = [request_row(group) for group in grouped(of_source)[:20]]
            return {"entry": entry, "chain": chain_rows(list(chain(client, entry))), "requests": groups}

        answer = await self._questions.ask(found)
        # First what was heard, then since when all was heard: meanwhile the latter can only become later.
        return json(answer | {"past": self._follower.past(key), "since": self._follower.heard_since()})

    async def _past(self, _request: Request) -> Response:
        return json({"events": self._follower.past(limit=EVENTS)})

    async def _requests(self, _request: Request) -> Response:
        def found(client: Client) -> list[Row]:
            return [request_row(group) for group in grouped(last_requests(client))[:GROUPS]]

        return json(await self._questions.ask(found))

    async def _picture(self, request: Request) -> Response:
        drawn = await self._drawing.draw(request.query_params.get("namespace", ""))
        if request.query_params.get("have") == drawn.tag:
            drawn = msgspec.structs.replace(drawn, svg=None)
        return json(drawn)

    async def _colours(self, _request: Request) -> Response:
        return Response(style_sheet(), media_type="text/css")


class Stream(Response):
    """What happens, as server-sent events, until the browser or the server goes."""

    def __init__(self, browsers: Browsers) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self._browsers = browsers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        try:
            with self._browsers.one() as browser:
                gone = asyncio.create_task(close_at_end(browser, receive))
                try:
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    while data := await browser.next():
                        await send({"type": "http.response.body", "body": data, "more_body": True})
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                finally:
                    gone.cancel()
        except TooMany:
            await PlainTextResponse("too many browsers look at this\n", 503)(scope, receive, send)


async def close_at_end(browser: Browser, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    browser.close()


def last_requests(client: Client) -> list[dict[str, Any]]:
    """The newest first; none where the agent keeps no journal."""
    try:
        return client.history(REQUESTS)
    except BusError as error:
        if error.code != "bad-request":
            raise
        return []


def json(value: object) -> Response:
    return Response(_encode(value), media_type="application/json")


async def unavailable(_request: Request, error: Exception) -> Response:
    return Response(_encode({"error": str(error)}), 503, media_type="application/json")
