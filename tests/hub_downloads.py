"""A stand-in for the Hub's HTTP interface, as far as a download of one model speaks it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote

import pytest
from huggingface_hub import constants

from tests.server import serving


def point_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the Hub's client take an address for the Hub's."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")


@dataclass
class StandIn:
    """One repository, at one commit, and what was asked for of it."""

    repo: str
    folder: Path
    commit: str = "c" * 40
    branch: str = "main"
    is_private: bool = False
    endpoint: str = ""
    requests: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[str]:
        """Names of its files."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())


@contextmanager
def stand_in(repo: str, folder: Path) -> Iterator[StandIn]:
    """Serve a folder as a repository on a port of loopback until the block ends."""
    state = StandIn(repo, folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(body=True)

        def do_HEAD(self) -> None:
            self.reply(body=False)

        def reply(self, *, body: bool) -> None:
            path = unquote(self.path.split("?")[0])
            state.requests.append(path)
            if state.is_private:
                self.answer(b"{}", {"X-Error-Code": "RepoNotFound"}, body=body, status=401)
                return
            names = f"(?:{state.commit}|{state.branch})"
            if re.fullmatch(rf"/api/models/{repo}(/revision/{names})?", path):
                siblings = [{"rfilename": name} for name in state.files]
                self.answer(json.dumps({"id": repo, "sha": state.commit, "siblings": siblings}).encode(), {}, body=body)
            elif re.fullmatch(rf"/api/models/{repo}/tree/{names}", path):
                self.answer(json.dumps([self.entry(name) for name in state.files]).encode(), {}, body=body)
            elif (match := re.fullmatch(rf"/{repo}/resolve/{names}/(.+)", path)) and match[1] in state.files:
                content = (state.folder / match[1]).read_bytes()
                headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": state.commit}
                self.answer(content, headers, body=body)
            else:
                missing = {"X-Error-Code": "RevisionNotFound" if path.startswith(f"/api/models/{repo}/") else "RepoNotFound"}
                self.answer(b"{}", missing, body=body, status=404)

        def entry(self, name: str) -> dict:
            content = (state.folder / name).read_bytes()
            return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

        def answer(self, content: bytes, headers: dict[str, str], *, body: bool, status: int = 200) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

    with serving(Handler) as state.endpoint:
        yield state
