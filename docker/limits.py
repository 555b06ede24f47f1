"""MLflow's scoring server with limits on the size of a request and on how long it may take to come.

    MODEL=models/latest uvicorn --app-dir docker limits:app --limit-concurrency 32

MLflow's own server (`mlflow models serve`) reads a body of any size into memory. Settings, from the
environment: `MODEL`, the bundle; `MAX_BODY_MB`, 8 where it is not set; `READ_SECONDS`, 60 where it is not.
"""

from __future__ import annotations

import asyncio
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


class _TooLargeError(Exception):
    pass


class BodyLimit:
    """Answer 413 to a request with a longer body, never held in memory, and 408 to one that is too slow.

    Parameters
    ----------
    app : ASGI application
    limit : int
        Bytes.
    seconds : float
        In which a body has to be there. MLflow's own limit of time begins only then.
    """

    def __init__(self, app: App, limit: int, seconds: float) -> None:
        self.app = app
        self.limit = limit
        self.seconds = seconds

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        try:
            # Read before the application does: its own handlers would turn an error on the way into a 500.
            async with asyncio.timeout(self.seconds):
                body = await self._read(scope, receive)
        except _TooLargeError:
            message = f"the body is over {self.limit} bytes; send fewer sentences at once"
            return await _refuse(send, 413, "REQUEST_TOO_LARGE", message)
        except TimeoutError:
            message = f"the body was not there within {self.seconds:g} seconds; send fewer sentences at once"
            return await _refuse(send, 408, "REQUEST_TIMEOUT", message)
        if body is None:
            return None
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return waiting.pop() if waiting else await receive()

        return await self.app(scope, replay, send)

    async def _read(self, scope: Message, receive: Receive) -> bytes | None:
        """Return the body; None where the client has left."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        patience = _PATIENCE * self.limit
        if not declared.isdigit() or int(declared) > patience:
            raise _TooLargeError
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
            raise _TooLargeError
        return b"".join(chunks)


async def _refuse(send: Send, status: int, code: str, message: str) -> None:
    body = json.dumps({"error_code": code, "message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def served() -> App:
    """Return MLflow's application for `MODEL`, with the limits."""
    from mlflow.pyfunc import load_model
    from mlflow.pyfunc.scoring_server import init

    limit = float(os.environ.get("MAX_BODY_MB", "8")) * 1_000_000
    seconds = float(os.environ.get("READ_SECONDS", "60"))
    return BodyLimit(init(load_model(os.environ["MODEL"])), int(limit), seconds)


def __getattr__(name: str) -> App:
    if name == "app":
        return served()
    raise AttributeError(name)
