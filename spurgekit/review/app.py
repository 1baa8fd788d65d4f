"""What the server answers: the page, its pictures, and the log."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePath
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import PlainTextResponse, Response

from spurgekit.errors import InputError
from spurgekit.review.agreement import summarise
from spurgekit.review.messages import describe_report, is_disputed, list_opinions, list_tiles, others
from spurgekit.review.review_folder import ReviewFolder, ReviewTile
from spurgekit.review.shared_log import Entry, SharedLog, as_name
from spurgekit.review.sitemap import draw_site_maps
from spurgekit.review.surroundings import Surroundings
from spurgekit.review.tile_pictures import TilePictures

MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PICTURES = {"cache-control": "private, max-age=86400"}
"""The browser may keep pictures: the page asks for them under new addresses after each start of the server."""

MOST_ENTRIES = 1000

Side = Annotated[int, Query(ge=32, le=512)]


class Sent(BaseModel):
    """Decisions as a page sends them.

    Attributes
    ----------
    folder : str
        Key of the folder that they are about: another one may be served by now.
    entries : list of dict
        See :class:`spurgekit.review.shared_log.Entry`. Each is looked at by itself: one that cannot be taken holds up no
        other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    entries: list[dict[str, Any]] = Field(max_length=MOST_ENTRIES)


@dataclass(frozen=True, slots=True)
class Review:
    """All that the server works with.

    Attributes
    ----------
    folder : ReviewFolder
    log : SharedLog
    pictures : TilePictures
    surroundings : Surroundings
    reviewer : str
        Who is at the page, until it is told otherwise.
    """

    folder: ReviewFolder
    log: SharedLog
    pictures: TilePictures
    surroundings: Surroundings
    reviewer: str

    @property
    def key(self) -> str:
        """A name of the folder for the browser, which keeps decisions under it until they are saved."""
        return hashlib.sha256(str(self.folder.path).encode()).hexdigest()[:16]


def make_app(review: Review) -> FastAPI:
    """Return the application, which is to run behind a :class:`spurgekit.review.guard.Guard`."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(InputError, lambda _, error: PlainTextResponse(str(error), 422))
    app.add_exception_handler(HTTPException, _say_what)
    # FastAPI's own answer repeats what was sent, which may be anything.
    app.add_exception_handler(RequestValidationError, lambda *_: PlainTextResponse("This is not what a page sends.", 422))
    _add_files(app)
    _add_log(app, review)
    _add_pictures(app, review)
    return app


def _say_what(request: Request, error: Exception) -> Response:  # noqa: ARG001
    assert isinstance(error, HTTPException)
    return PlainTextResponse(str(error.detail), error.status_code)


def _add_files(app: FastAPI) -> None:
    """Answer the page's own files, which are read here: no path that comes from outside ever reaches a file system."""
    for file in resources.files("spurgekit.review").joinpath("static").iterdir():
        if (media_type := MEDIA_TYPES.get(PurePath(file.name).suffix)) is not None:
            path = "/" if file.name == "index.html" else f"/{file.name}"
            app.add_api_route(path, _answer(file.read_bytes(), media_type))


def _answer(data: bytes, media_type: str) -> Callable[[], Awaitable[Response]]:
    async def answer() -> Response:
        return Response(data, media_type=media_type)

    return answer


def _add_log(app: FastAPI, review: Review) -> None:
    folder, log = review.folder, review.log

    @app.post("/api/decisions")
    def decide(sent: Sent) -> Response:
        if sent.folder != review.key:
            raise HTTPException(409, f"the server shows another folder now, {folder.path.name}")
        taken = [entry for entry in map(_as_entry, sent.entries) if entry is not None]
        try:
            log.record(taken)
        except OSError as error:
            raise HTTPException(507, f"{log.path.name} cannot be written: {error.strerror or error}") from error
        ids, everybody = {entry.id for entry in taken}, log.opinions(entry.tile for entry in taken)
        decided = {who: [e.tile for e in taken if e.who == who and e.after.verdict] for who in {e.who for e in taken}}
        return _json(
            {
                "saved": sorted(ids),
                "refused": [name for name in map(_id_of, sent.entries) if name not in ids],
                "others": {who: others(everybody, who, tiles) for who, tiles in decided.items()},
                "disputed": {entry.tile: entry.tile in everybody and is_disputed(everybody[entry.tile]) for entry in taken},
                "revision": log.revision,
            }
        )

    @app.get("/api/opinions")
    def opinions(who: str) -> Response:
        return _json(list_opinions(log, as_name(who)))

    @app.get("/api/pulse")
    def pulse() -> Response:
        return _json({"folder": review.key, "revision": log.revision})

    @app.get("/api/report")
    def report() -> Response:
        return _json(describe_report(summarise(folder, log.decisions())))


def _add_pictures(app: FastAPI, review: Review) -> None:
    maps = draw_site_maps(review.folder)
    by_site = {site: drawn for site, drawn in zip(review.folder.sites, maps, strict=True) if drawn is not None}
    run = secrets.token_hex(4)
    listing = _json({"key": review.key, "run": run, "reviewer": review.reviewer, **list_tiles(review.folder, maps)}).body

    def find(tile: str) -> ReviewTile:
        if tile not in review.folder.by_id:
            raise HTTPException(404, "there is no such tile in this folder")
        return review.folder.by_id[tile]

    @app.get("/api/folder")
    async def folder() -> Response:
        return Response(listing, media_type="application/json")

    @app.get("/api/picture")
    def picture(tile: str) -> Response:
        made = review.pictures.picture(find(tile))
        return Response(made.data, media_type=made.media_type, headers=PICTURES)

    @app.get("/api/thumbnail")
    def thumbnail(tile: str, px: Side) -> Response:
        made = review.pictures.thumbnail(find(tile), px)
        return Response(made.data, media_type=made.media_type, headers=PICTURES)

    @app.get("/api/surroundings")
    def surroundings(tile: str) -> Response:
        view = review.surroundings.view(find(tile))
        return Response(view.jpeg, media_type="image/jpeg", headers={**PICTURES, "x-made-from": quote(view.origin)})

    @app.get("/api/map")
    def site_map(site: str) -> Response:
        if site not in by_site:
            raise HTTPException(404, "there is no map of this site")
        return Response(by_site[site].png, media_type="image/png", headers=PICTURES)


def _as_entry(sent: dict[str, Any]) -> Entry | None:
    """Return what a page sent as an entry of the log, or None if it is none.

    It may be about a tile or a class that the folder no longer has, if it has waited for long: it was said, so it is logged.
    """
    try:
        entry = Entry.model_validate(sent)
        entry.model_dump_json()  # halves of characters cannot be written
    except ValueError:  # pydantic's own are
        return None
    return entry


def _id_of(sent: dict[str, Any]) -> str | None:
    """Return the id of what a page sent; None where it has none, or one that cannot be."""
    name = sent.get("id")
    return name if isinstance(name, str) else None


def _json(content: Any) -> Response:
    # Not through FastAPI's encoder, which looks at each value by itself and takes ten times as long.
    return Response(json.dumps(content, separators=(",", ":"), allow_nan=False), media_type="application/json")
