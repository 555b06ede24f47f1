"""MLflow's scoring server with a limit on the size of a request.

    MODEL=models/latest uvicorn --app-dir docker limits:app --limit-concurrency 32

MLflow's own server (`mlflow models serve`) reads a body of any size into memory. Settings, from the
environment: `MODEL`, the bundle; `MAX_BODY_MB`, 8 where it is not set.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


# A client sees the answer only when it has sent all: so much, in limits, is read and thrown away for that.
_PATIENCE = 16


class BodyLimit:
    """Answer 413 to a request with a longer body, which is never held in memory.

    Parameters
    ----------
    app : ASGI application
    limit : int
        Bytes.
    """

    def __init__(self, app: App, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        patience = _PATIENCE * self.limit
        if not declared.isdigit() or int(declared) > patience:
            return await self._refuse(send)
        # Read before the application does: its own handlers would turn an error on the way into a 500.
        chunks: list[bytes] = []
        size, more = 0, True
        while more and size <= patience:
            message = await receive()
            if message["type"] != "http.request":
                return None
            chunk, more = message.get("body", b""), message.get("more_body", False)
            size += len(chunk)
            if size <= self.limit:
                chunks.append(chunk)
            else:
                chunks.clear()
        if size > self.limit:
            return await self._refuse(send)
        waiting = [{"type": "http.request", "body": b"".join(chunks), "more_body": False}]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        return await self.app(scope, replay, send)

    async def _refuse(self, send: Send) -> None:
        message = f"the body is over {self.limit} bytes; send fewer sentences at once"
        body = json.dumps({"error_code": "REQUEST_TOO_LARGE", "message": message}).encode()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def served() -> App:
    """Return MLflow's application for `MODEL`, with the limit."""
    from mlflow.pyfunc import load_model
    from mlflow.pyfunc.scoring_server import init

    limit = float(os.environ.get("MAX_BODY_MB", "8")) * 1_000_000
    return BodyLimit(init(load_model(os.environ["MODEL"])), int(limit))


def __getattr__(name: str) -> App:
    if name == "app":
        return served()
    raise AttributeError(name)
