"""A stand-in for the Hub's HTTP interface, as far as an upload speaks it: repositories, and commits of small files."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.server import serving


@dataclass
class StandIn:
    """What was sent to it."""

    endpoint: str = ""
    token: str = "hf_right"
    created: list[dict] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    summaries: list[str] = field(default_factory=list)


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Serve on a port of loopback until the block ends."""
    state = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != f"Bearer {state.token}":
                self.answer(401, {"error": "Invalid username or password."})
            elif re.fullmatch(r"/api/datasets/[^/]+/[^/]+(/revision/main)?", self.path.split("?")[0]):
                self.answer(200, {"id": "me/spurge", "sha": "0" * 40, "siblings": []})
            else:
                self.answer(404, {"error": f"not known here: {self.path}"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != f"Bearer {state.token}":
                self.answer(401, {"error": "Invalid username or password."})
            elif self.path == "/api/validate-yaml":  # of the card
                state.cards.append(json.loads(body)["content"])
                self.answer(200, {"errors": [], "warnings": []})
            elif self.path == "/api/repos/create":
                state.created.append(json.loads(body))
                self.answer(200, {"url": f"{state.endpoint}/datasets/me/spurge"})
            elif re.fullmatch(r"/api/datasets/me/spurge/preupload/main", self.path):
                files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]]
                self.answer(200, {"files": files})
            elif re.fullmatch(r"/api/datasets/me/spurge/commit/main", self.path.split("?")[0]):
                self.commit(body)
            else:
                self.answer(404, {"error": f"not known here: {self.path}"})

        def commit(self, body: bytes) -> None:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "header":
                    state.summaries.append(entry["value"]["summary"])
                elif entry["key"] == "file":
                    state.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            self.answer(200, {"commitUrl": f"{state.endpoint}/datasets/me/spurge/commit/1", "commitOid": "1" * 40})

        def answer(self, status: int, content: dict) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with serving(Handler) as state.endpoint:
        yield state
