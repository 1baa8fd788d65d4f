"""``map.html`` in a real browser, as a crew uses it: opened as a file. Every test fails on any request and any error."""

import io
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyproj
import pytest
from affine import Affine
from PIL import Image

from tests.command import succeed
from tests.export.conftest import CORNER, SPURGE, make_image, make_map, note_images
from tests.review.served import find_chromium, launch_chromium

pytest.importorskip("playwright", reason="the page is tested with Playwright, which is not installed")
if find_chromium() is None:
    pytest.skip("no chromium here; name one in SPURGEKIT_CHROMIUM", allow_module_level=True)

from playwright.sync_api import expect

MARKUP = "<script>alert(1)</script> & <b>“spurge”</b></script>"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def browser():
    with launch_chromium(find_chromium()) as browser:
        yield browser


@pytest.fixture
def opened(browser):
    """Return what opens a page as a file, in a window of a size."""
    with opener(browser) as open_page:
        yield open_page


@contextmanager
def opener(browser):
    wrong, contexts = [], []

    def open_page(path, size=DESK, **options):
        context = browser.new_context(viewport=size, **options)
        contexts.append(context)
        context.set_default_timeout(30_000)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on("console", lambda line: wrong.append(line.text) if line.type in ("error", "warning") else None)
        context.on("dialog", lambda dialog: wrong.append(dialog.message))
        context.on("request", lambda request: wrong.append(request.url) if asks(request.url) else None)
        context.route(asks, lambda route: route.abort())
        page = context.new_page()
        page.goto(Path(path).absolute().as_uri())
        expect(page.locator("body[data-ready]")).to_be_attached()
        return page

    expect.set_options(timeout=30_000)
    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def asks(url):
    """Whether a request is for anything but the page itself and what is in it."""
    return not (url.startswith("data:") or (url.startswith("file:") and url.endswith("/map.html")))


@pytest.fixture
def page_of(seen):
    """Return the exported page of the drawn map."""
    succeed("export", seen, "--for", "phone", "--out", "out", "--join", "0")
    return "out/map.html"


def click_at(page, easting, northing, grid):
    """Click the place where a point of the map's CRS is on the screen."""
    col, row = ~grid @ (easting, northing)
    x, y = on_screen(page, col, row)
    page.locator("#map").click(position={"x": x, "y": y})


def on_screen(page, col, row):
    """Return where a pixel of the picture is on the map, in pixels of the screen."""
    place = "place => { const { x, y } = spurgekit.map.latLngToContainerPoint(spurgekit.at(place)); return [x, y]; }"
    return page.evaluate(place, [col, row])


GRID = Affine(0.05, 0, CORNER[0], 0, -0.05, CORNER[1])
"""Of ``dune.tif``."""

TO_DEGREES = pyproj.Transformer.from_crs("EPSG:32612", "EPSG:4326", always_xy=True)


def degrees_in(popup):
    latitude, longitude = popup.locator(".degrees").inner_text().split(", ")
    return float(longitude), float(latitude)


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_and_fits_the_window(opened, page_of, size, scheme):
    page = opened(page_of, size, color_scheme=scheme)
    assert page.title() == "dune"
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    assert page.evaluate("document.documentElement.scrollHeight") == size["height"]
    expect(page.locator("#source")).to_have_text("On dune.tif, 5 cm a pixel, EPSG:32612")
    expect(page.locator("#count")).to_have_text("6 patches")
    expect(page.locator("#patches button")).to_have_count(6)
    expect(page.locator("#legend h3")).to_have_text(["leafy spurge", "sumac"])
    expect(page.locator("#legend p").first).to_have_text(
        "Occupied: 40.0 m² on the map; corrected for errors 36.5 m², with 95 % between 20.0 m² and 1,060.0 m²"
    )
    assert page.evaluate(
        "spurgekit.map.getBounds().contains([spurgekit.at([0, 0]), spurgekit.at([320, 240])])"
    )  # all of the site
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 200) == (scheme == "dark")


def test_a_cell_that_is_tapped_says_what_it_is_and_where(opened, page_of):
    page = opened(page_of, PHONE, has_touch=True)
    click_at(page, CORNER[0] + 13, CORNER[1] - 5, GRID)  # the upper left cell of sumac
    popup = page.locator(".leaflet-popup")
    expect(popup.locator("h3")).to_have_text("P002")
    expect(popup.locator(".kind")).to_have_text("sumac")
    expect(popup.locator("dd")).to_have_text(["16.0 m²", "16.0 m²", "0.75"])
    there = degrees_in(popup)
    # The centre of a patch is a point on its surface: of a square its middle.
    assert there == pytest.approx(TO_DEGREES.transform(CORNER[0] + 14, CORNER[1] - 6), abs=1e-7)
    link = popup.locator("a[href^='geo:']").get_attribute("href")
    assert link == f"geo:{there[1]:.7f},{there[0]:.7f}?q={there[1]:.7f},{there[0]:.7f}(P002)"
    assert page.locator("#patches [aria-current]").inner_text().split("\n")[0] == "P002"


def test_any_place_says_its_degrees(opened, page_of):
    page = opened(page_of)
    page.evaluate("spurgekit.map.setView(spurgekit.at([160, 180]), 4, { animate: false })")  # a pixel of 5 cm on 16
    box = page.locator("#map").bounding_box()
    page.locator("#map").click(position={"x": box["width"] // 2 + 32, "y": box["height"] // 2 - 16})
    asked = CORNER[0] + 162 * 0.05, CORNER[1] - 179 * 0.05
    back = TO_DEGREES.transform(*degrees_in(page.locator(".leaflet-popup")), direction="INVERSE")
    assert np.hypot(back[0] - asked[0], back[1] - asked[1]) < 0.02  # of a screen whose middle may lie half a pixel off


def test_the_picture_lies_where_its_patches_do(opened, page_of):
    page = opened(page_of)
    page.add_style_tag(content=".leaflet-overlay-pane, .leaflet-tooltip-pane { display: none; }")
    for zoom in (0, 4):
        page.evaluate("zoom => spurgekit.map.setView(spurgekit.at([80, 60]), zoom, { animate: false })", zoom)
        page.wait_for_timeout(600)
        shot = np.asarray(Image.open(io.BytesIO(page.locator("#map").screenshot())).convert("RGB")).astype(int)
        x, y = on_screen(page, 80, 60)
        row = np.abs(shot[max(0, round(y)), :] - SPURGE).sum(axis=1) < 90  # the block of spurge ends at column 80
        assert abs(np.flatnonzero(row).max() + 1 - x) <= max(1.0, 2**zoom / 2)  # half a pixel of the picture


def test_the_list_leads_to_a_patch_by_keyboard(opened, page_of):
    page = opened(page_of)
    page.locator("#patches button").nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".leaflet-popup h3")).to_have_text("P002")
    assert page.evaluate("spurgekit.map.getBounds().contains(spurgekit.at(spurgekit.data.patches[1].centre))")
    page.keyboard.press("Escape")
    page.locator("#map").focus()
    before = page.evaluate("[spurgekit.map.getZoom(), spurgekit.map.getCenter().lng]")
    page.keyboard.press("-")
    page.wait_for_function("zoom => spurgekit.map.getZoom() < zoom", arg=before[0])


def test_the_scale_follows_the_zoom(opened, page_of):
    page = opened(page_of)
    for zoom in (0, 3):
        page.evaluate("zoom => spurgekit.map.setView(spurgekit.at([160, 120]), zoom, { animate: false })", zoom)
        bar = page.locator(".leaflet-control-scale-line")
        value, unit = bar.inner_text().split(" ")
        metres = float(value) / (1 if unit == "m" else 100)
        assert bar.bounding_box()["width"] == pytest.approx(metres / 0.05 * 2**zoom, abs=2.5)


def test_places_are_copied(opened, page_of):
    page = opened(page_of, permissions=["clipboard-read", "clipboard-write"])
    page.locator("#patches button").first.click()
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#said")).to_contain_text("Copied 45.")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator(".degrees").inner_text()


def test_where_am_i(opened, page_of):
    longitude, latitude = TO_DEGREES.transform(CORNER[0] + 9, CORNER[1] - 7)
    here = {"longitude": longitude, "latitude": latitude, "accuracy": 3}
    page = opened(page_of, permissions=["geolocation"], geolocation=here)
    page.get_by_role("button", name="Where am I?").click()
    page.wait_for_function("() => document.querySelector('.locate [aria-pressed=true]')")
    page.wait_for_function("() => Math.hypot(spurgekit.map.getCenter().lng - 180, spurgekit.map.getCenter().lat + 140) < 1")


def test_class_names_are_text(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = make_map(Path("maps/<b>"), classes=("bare", MARKUP, "&amp;"))
    note_images(folder, make_image(Path("dune.tif")))
    succeed("export", folder, "--for", "phone", "--out", "out")
    page = opened("out/map.html")
    assert page.title() == "<b>"
    expect(page.locator("#legend h3")).to_have_text([MARKUP, "&amp;"])
    page.locator("#patches button").first.click()
    expect(page.locator(".leaflet-popup .kind")).to_have_text(MARKUP)
    assert page.locator("main b").count() == page.locator("#patches button").count()  # names of patches alone


def test_north_is_shown_where_it_is_not_up(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    turned = Affine.translation(*CORNER) @ Affine.rotation(30) @ Affine.scale(2, -2)
    folder = make_map(Path("maps/dune"), transform=turned)
    note_images(folder, make_image(Path("turned.tif"), transform=turned))
    succeed("export", folder, "--for", "phone", "--out", "out", "--join", "0")
    page = opened("out/map.html")
    # Rows run 30 degrees anticlockwise of east, so that north is 30 degrees clockwise of up.
    assert page.evaluate("spurgekit.data.north") == pytest.approx(30, abs=0.2)
    expect(page.locator(".north svg")).to_be_visible()
    click_at(page, *(turned @ (7, 3)), turned @ Affine.scale(1 / 40))
    expect(page.locator(".leaflet-popup .kind")).to_have_text("sumac")
    assert degrees_in(page.locator(".leaflet-popup")) == pytest.approx(TO_DEGREES.transform(*(turned @ (7, 3))), abs=1e-7)


def test_on_plain_ground(opened, drawn):
    lines = succeed("export", drawn, "--for", "phone", "--out", "out").splitlines()
    assert lines[0] == "note: the patches lie on plain ground: the map does not say which image it is of; pass --imagery"
    page = opened("out/map.html", PHONE)
    expect(page.locator("#source")).to_have_text("On plain ground, EPSG:32612")
    expect(page.locator(".north")).to_have_count(0)


def test_names_do_not_overlap(opened, page_of):
    page = opened(page_of, PHONE)
    page.wait_for_timeout(300)
    boxes = [box for name in page.locator(".leaflet-tooltip.name").all() if (box := name.bounding_box())]
    assert boxes
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            apart = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
            assert apart or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]


def test_it_prints_map_and_list(opened, page_of):
    page = opened(page_of, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).overflow") == "visible"
    assert page.locator(".leaflet-control-zoom").is_hidden()
    assert page.locator("#patches button").last.is_visible()
