"""A server of a folder, for tests: ``python range_server.py FOLDER`` prints its port.

A process of its own, since GDAL lets no other thread of Python run while it waits for an answer.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote


class Handler(BaseHTTPRequestHandler):
    """Serves parts of files, as those do that hold orthomosaics."""

    def __init__(self, *arguments: Any, folder: Path) -> None:
        self.folder = folder
        super().__init__(*arguments)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Answer how large a file is."""
        self.answer(is_head=True)

    def do_GET(self) -> None:
        """Answer with a file, or the part of it that is asked for."""
        self.answer(is_head=False)

    def answer(self, *, is_head: bool) -> None:
        """Answer what is asked for."""
        path = self.folder / unquote(self.path.partition("?")[0].lstrip("/"))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, stop = (int(asked[1]), min(int(asked[2] or len(data)) + 1, len(data))) if asked else (0, len(data))
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.end_headers()
        if not is_head:
            self.wfile.write(data[start:stop])


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, folder=Path(sys.argv[1]))) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
