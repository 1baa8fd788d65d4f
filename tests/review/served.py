"""The command in a process of its own, and a browser to look at its page."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass(frozen=True)
class Served:
    """A running server."""

    process: subprocess.Popen[str]
    said: list[str]
    link: str

    @property
    def address(self) -> str:
        """Where the page is, without the token."""
        return self.link.split("/open")[0] + "/"

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.communicate()

    def interrupt(self) -> str:
        """Press Ctrl+C; returns what it says last."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=60)[0]


@contextmanager
def serve(folder: Path, *options: object, port: int = 0) -> Iterator[Served]:
    """Run ``spurgekit review FOLDER`` until the block ends."""
    command = [sys.executable, "-u", "-m", "spurgekit", "review", folder, "--no-browser", "--port", port, *options]
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said: list[str] = []
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.rstrip("\n"))
            if line.startswith("http"):
                break
        else:
            raise AssertionError("\n".join(said))
        yield Served(process, said, said[-1])
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        process.stdout.close()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_chromium() -> str | None:
    """Return the browser: the one that ``SPURGEKIT_CHROMIUM`` names, else Debian's."""
    return os.environ.get("SPURGEKIT_CHROMIUM") or shutil.which("chromium")


@contextmanager
def launch_chromium(path: str) -> Iterator[Browser]:
    """Run the browser until the block ends."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
