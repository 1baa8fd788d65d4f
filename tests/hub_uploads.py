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

COMMIT = "1" * 40
"""What files come with."""

LICENCES = ("mit", "apache-2.0", "cc-by-4.0")
"""Those that it knows."""


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
def stand_in(kind: str = "datasets") -> Iterator[StandIn]:
    """Serve repositories of datasets or models on a port of loopback until the block ends."""
    state = StandIn()
    address = "datasets/me/spurge" if kind == "datasets" else "me/spurge"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != f"Bearer {state.token}":
                self.answer(401, {"error": "Invalid username or password."})
            elif re.fullmatch(rf"/api/{kind}/[^/]+/[^/]+(/revision/main)?", self.path.split("?")[0]):
                self.answer(200, {"id": "me/spurge", "sha": "0" * 40, "siblings": []})
            else:
                self.answer(404, {"error": f"not known here: {self.path}"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != f"Bearer {state.token}":
                self.answer(401, {"error": "Invalid username or password."})
            elif self.path == "/api/validate-yaml":  # of the card
                card = json.loads(body)["content"]
                if not any(f"license: {licence}\n" in card for licence in LICENCES):
                    self.answer(400, {"errors": [{"message": '"license" must be one of [mit, ...]'}], "warnings": []})
                else:
                    state.cards.append(card)
                    self.answer(200, {"errors": [], "warnings": []})
            elif self.path == "/api/repos/create":
                state.created.append(json.loads(body))
                self.answer(200, {"url": f"{state.endpoint}/{address}"})
            elif re.fullmatch(rf"/api/{kind}/me/spurge/preupload/main", self.path):
                files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]]
                self.answer(200, {"files": files})
            elif re.fullmatch(rf"/api/{kind}/me/spurge/commit/main", self.path.split("?")[0]):
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
            self.answer(200, {"commitUrl": f"{state.endpoint}/{address}/commit/{COMMIT}", "commitOid": COMMIT})

        def answer(self, status: int, content: dict) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with serving(Handler) as state.endpoint:
        yield state
