"""Requests to an ASGI application without a server or a client library, so that a test says every header itself."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

HOST = "127.0.0.1:8765"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """Return the body as what it says."""
        return json.loads(self.body)


def request(
    app: Any, path: str, *, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b"", parts: int = 1
) -> Answer:
    """Send one request, its body as often as there are parts; the ``Host`` is the server's unless another one is given."""
    url = urlsplit(path)
    sent = {"host": HOST, **(headers or {})}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": url.path, "raw_path": url.path.encode(), "query_string": url.query.encode(), "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", 8765), "state": {}, "extensions": {},
    }  # fmt: skip
    messages: list[dict[str, Any]] = []

    left = [parts]

    async def receive() -> dict[str, Any]:
        left[0] -= 1
        return {"type": "http.request", "body": body, "more_body": left[0] > 0}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    asyncio.run(app(scope, receive, send))
    start = messages[0]
    found = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], found, b"".join(message.get("body", b"") for message in messages[1:]))
