"""Running the server of a review: a socket on the loopback interface, the link to open, and an orderly end."""

from __future__ import annotations

import getpass
import logging
import os
import socket
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from spurgekit.errors import InputError
from spurgekit.extras import check_extra
from spurgekit.review.agreement import ReviewReport, summarise
from spurgekit.review.review_folder import ReviewFolder, open_folder
from spurgekit.review.review_options import ReviewOptions
from spurgekit.review.shared_log import SharedLog, as_name
from spurgekit.review.site_images import find_site_images
from spurgekit.review.surroundings import Surroundings
from spurgekit.review.tile_pictures import TilePictures
from spurgekit.text import counted

if TYPE_CHECKING:
    import uvicorn

HOST = "127.0.0.1"


def review_tiles(folder: str | Path, options: ReviewOptions | None = None, *, say: Callable[[str], None] = print) -> None:
    """Let a person verify tiles on a local web page, until Ctrl+C.

    Each decision is saved at once in ``review.jsonl`` of the folder, which :func:`spurgekit.build_dataset` takes into account.

    Parameters
    ----------
    folder : str or pathlib.Path
        A folder of tiles, or a dataset.
    options : ReviewOptions, optional
    say : callable
        Is given the lines for the user, the link to open among them.

    Raises
    ------
    InputError
        If the folder is neither, the ``review`` extra is not installed, the port is taken, the folder cannot be written to.
    """
    options = options or ReviewOptions()
    serve_review(open_folder(Path(folder), classes=options.classes, predictions=options.predictions), options, say)


def review_report(folder: str | Path, options: ReviewOptions | None = None) -> ReviewReport:
    """Return how far reviewers of tiles are and how far they agree.

    Parameters
    ----------
    folder : str or pathlib.Path
        A folder of tiles, or a dataset.
    options : ReviewOptions, optional
        Of these, classes and predictions count.

    Returns
    -------
    ReviewReport

    Raises
    ------
    InputError
        If the folder is neither.
    """
    options = options or ReviewOptions()
    opened = open_folder(Path(folder), classes=options.classes, predictions=options.predictions)
    log = SharedLog(opened.path)
    return replace(summarise(opened, log.decisions()), damage=log.damage or "")


def serve_review(folder: ReviewFolder, options: ReviewOptions, say: Callable[[str], None]) -> None:
    """Serve the page of a review until Ctrl+C.

    Parameters
    ----------
    folder : ReviewFolder
    options : ReviewOptions
    say : callable
        Is given the lines for the user.

    Raises
    ------
    InputError
        If the ``review`` extra is not installed, the port is taken, the folder cannot be written to, ...
    """
    check_extra("review", "the review page")
    from spurgekit.review.app import Review, make_app
    from spurgekit.review.guard import Guard

    if not os.access(folder.path, os.W_OK):
        raise InputError(f"{folder.path} cannot be written to, and decisions are kept in it; review a copy of it")
    reviewer = as_name(options.reviewer) if options.reviewer is not None else login_name()
    log = SharedLog(folder.path)
    pictures = TilePictures(folder)
    with listen(options.port) as listener:
        surroundings = Surroundings(folder, pictures, find_site_images(folder, options.imagery))
        review = Review(folder, log, pictures, surroundings, reviewer)
        guard = Guard(make_app(review), listener.getsockname()[1])

        def greet() -> None:
            for line in (*_greeting(review.folder, log, reviewer), guard.link):
                say(line)
            if options.browser:
                # In a thread, since a browser in the terminal would keep the server from answering.
                threading.Thread(target=webbrowser.open, args=(guard.link,), daemon=True).start()

        try:
            make_server(guard, greet).run(sockets=[listener])
        except KeyboardInterrupt:
            pass
        finally:
            surroundings.close()
    say(f"{counted(log.saved, 'decision')} saved in {log.path}")


def login_name() -> str:
    """Return the name of who runs this, or ``reviewer`` where the system does not know."""
    try:
        return as_name(getpass.getuser())
    except (OSError, KeyError, InputError):  # KeyError before Python 3.13
        return "reviewer"


def _greeting(folder: ReviewFolder, log: SharedLog, reviewer: str) -> list[str]:
    reviewed = sum(said.verdict is not None and tile in folder.by_id for tile, said in log.of_reviewer(reviewer).items())
    lines = [f"note: {log.damage}"] if log.damage else []
    lines.append(f"{folder.path}: {len(folder.tiles):,} tiles, {reviewed:,} of them reviewed by {reviewer}")
    return [*lines, "Open this link, which works once; Ctrl+C ends the review:"]


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a port of the loopback interface, on any that is free for 0.

    Raises
    ------
    InputError
        If the port is taken, or may not be had.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two servers have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)  # from here on a browser waits for the server
    except OSError as error:
        listener.close()
        raise InputError(f"port {port} cannot be had ({error.strerror}); end what uses it, or pass another `port`") from error
    return listener


def make_server(guard: Callable[..., object], started: Callable[[], None] = lambda: None) -> uvicorn.Server:
    """Return a server to run with ``run(sockets=[listener])``, which writes nothing but errors.

    ``started`` is called when it answers, and Ctrl+C ends it in good order.
    """
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # What is cut off now is no error: pages keep what they have not sent.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            super().handle_exit(sig, frame)

    return Server(
        uvicorn.Config(
            guard,
            http="h11",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
