"""The page in a real browser, as a reviewer uses it. Every test also fails on an error in the page's console."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from spurgekit.review import open_folder
from spurgekit.review.app import Review, make_app
from spurgekit.review.guard import Guard
from spurgekit.review.serve import listen, make_server
from spurgekit.review.shared_log import SharedLog
from spurgekit.review.site_images import find_site_images
from spurgekit.review.surroundings import Surroundings
from spurgekit.review.tile_pictures import TilePictures
from spurgekit.tiles.review_log import LOG, append_decisions, read_decisions, read_outcomes
from tests.dataset import add_columns
from tests.review import NOTHING, REJECTED, SAND, UNSURE, WEED, decided, tile_id
from tests.review.served import find_chromium, free_port, launch_chromium, serve

pytest.importorskip("playwright", reason="the page is tested with Playwright, which is not installed")
if find_chromium() is None:
    pytest.skip("no chromium here; name one in SPURGEKIT_CHROMIUM", allow_module_level=True)

from playwright.sync_api import expect

EXPECTED = re.compile("Failed to load resource|ERR_CONNECTION")
"""What the console says by itself of a server that is gone, and of pictures that are not there."""


@pytest.fixture(scope="module")
def browser():
    with launch_chromium(find_chromium()) as browser:
        yield browser


@pytest.fixture
def context(browser):
    """A browser of a test's own, with its own storage; fails on errors in its consoles."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(30_000)  # of a busy machine; what comes, comes sooner
    expect.set_options(timeout=30_000)
    errors = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("console", lambda line: errors.append(line.text) if line.type in ("error", "warning") else None)
    yield context
    context.close()
    assert [error for error in errors if not EXPECTED.search(error)] == []


@contextmanager
def served_here(folder, reviewer="ada"):
    """Serve in a thread, which starts sooner than a process; yields the link."""
    pictures = TilePictures(folder)
    review = Review(
        folder, SharedLog(folder.path), pictures, Surroundings(folder, pictures, find_site_images(folder)), reviewer
    )
    with listen(0) as listener:
        guard = Guard(make_app(review), listener.getsockname()[1])
        server = make_server(guard)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield guard.link
        finally:
            server.should_exit = True
            thread.join()
            review.surroundings.close()


@pytest.fixture
def desk(context, dune):
    """Open the page of the dune's tiles, for ada unless somebody else is named."""
    with served_here(open_folder(dune / "tiles")) as link:
        page = open_page(context, link)
        yield Desk(page)


def open_page(context, address):
    page = context.new_page()
    page.goto(address)
    return page


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and writes nothing about it."""

    def log_message(self, *arguments):
        pass


class Desk:
    """What a reviewer sees, and the keys."""

    def __init__(self, page):
        self.page = page
        expect(page.locator("body[data-ready]")).to_be_attached()

    def press(self, keys):
        """Press keys one after the other, each when the picture of the tile is there."""
        for key in keys.split():
            self.wait_for_picture()
            self.page.keyboard.press(key)

    def wait_for_picture(self):
        if self.page.locator("#single").is_visible():
            expect(self.page.locator("#tile-picture")).not_to_have_attribute("data-state", "loading")

    @property
    def tile(self):
        """Id of the tile in front."""
        return self.fact("Tile")

    def fact(self, name):
        return self.page.locator(f"#facts dt:text-is('{name}') + dd").inner_text()

    def at(self, number):
        expect(self.page.locator("#facts dd").first).to_have_text(tile_id(number))

    def saved(self):
        expect(self.page.locator("#saving")).to_have_text("✓ All saved")

    def says(self, text):
        expect(self.page.locator("#said")).to_contain_text(text)

    def show(self, **criteria):
        for name, value in criteria.items():
            self.page.locator(f"#filters [name={name}]").select_option(value)

    def has_tiles(self, count):
        expect(self.page.locator("#list-text")).to_have_text(f"{count} tile{'' if count == 1 else 's'}")


def log_of(dune):
    return [(d.who, d.tile, d.after) for d in read_decisions(dune / "tiles" / LOG)]


def test_thirty_tiles_by_keyboard(desk, dune):
    keys = ["1", "2", "r", "u", "a", "Enter"]
    desk.press(" ".join(keys[i % 6] for i in range(30)))
    desk.says("This is the end of the list; you have reviewed all of it.")
    desk.saved()
    expect(desk.page.locator("#progress-text")).to_have_text("30 of 30 reviewed")
    # Labels are sand and weed in turn, so A accepts sand and Enter weed.
    said = [SAND, WEED, REJECTED, UNSURE, SAND, WEED]
    assert log_of(dune) == [("ada", tile_id(i), said[i % 6]) for i in range(30)]
    desk.page.reload()
    expect(desk.page.locator("#progress-text")).to_have_text("30 of 30 reviewed")


class TestUndo:
    def test_takes_the_last_decision_back_and_goes_there(self, desk, dune):
        desk.press("2 1 z")
        desk.at(1)
        expect(desk.page.locator("#badge")).to_be_hidden()
        desk.press("Control+z")
        desk.at(0)
        desk.press("z")
        desk.says("nothing to take back")
        desk.saved()
        assert [after for _, _, after in log_of(dune)] == [WEED, SAND, NOTHING, NOTHING]
        assert read_outcomes(dune / "tiles") == {}

    def test_brings_back_what_was_before(self, desk, dune):
        desk.press("2 ArrowLeft r z")
        desk.at(0)
        expect(desk.page.locator("#badge")).to_have_text("✓ weed")
        desk.saved()
        assert log_of(dune)[-1][2] == WEED

    def test_works_after_a_reload(self, desk, dune):
        desk.press("2 2")
        desk.saved()
        desk.page.reload()
        desk.at(2)
        desk.press("z")
        desk.at(1)
        desk.saved()
        assert log_of(dune)[-1] == ("ada", tile_id(1), NOTHING)


class TestServerDies:
    """Nothing is lost, whatever dies when."""

    @pytest.fixture
    def port(self):
        return free_port()

    def test_mid_way(self, context, dune, port):
        with serve(dune / "tiles", "--reviewer", "ada", port=port) as served:
            page = open_page(context, served.link)
            desk = Desk(page)
            desk.press("1 1 1 1 1")
            desk.saved()
            page.wait_for_load_state("networkidle")  # pictures ahead come in
            served.kill()
        desk.press("2 2 2")
        expect(page.locator("#saving")).to_have_text("⚠ 3 not saved yet")
        expect(page.locator("#notice")).to_contain_text("The server does not answer. 3 decisions are kept in this browser")
        desk.press("2")
        expect(page.locator("#saving")).to_have_text("⚠ 4 not saved yet")
        assert len(log_of(dune)) == 5
        with serve(dune / "tiles", "--reviewer", "ada", port=port) as served:
            expect(page.locator("#notice")).to_contain_text("The server was started again. 4 decisions are kept")
            other = open_page(context, served.link)
            again = Desk(other)
            again.saved()
            expect(other.locator("#progress-text")).to_have_text("9 of 30 reviewed")
            desk.saved()  # the page of before goes on, too
            expect(page.locator("#notice")).to_be_hidden()
            assert log_of(dune) == [("ada", tile_id(i), SAND if i < 5 else WEED) for i in range(9)]

    def test_and_the_browser_is_closed_before_it_is_back(self, context, dune, port):
        with serve(dune / "tiles", "--reviewer", "ada", port=port) as served:
            page = open_page(context, served.link)
            desk = Desk(page)
            desk.wait_for_picture()
            served.kill()
        desk.press("2")
        expect(page.locator("#saving")).to_have_text("⚠ 1 not saved yet")
        page.close()
        (dune / "tiles" / LOG).write_bytes(b'{"id": "cut off')  # as the crash left it
        with serve(dune / "tiles", "--reviewer", "ada", port=port) as served:
            page = open_page(context, served.link)
            Desk(page).saved()
        with pytest.warns(UserWarning, match="line 1 is cut off"):
            assert log_of(dune) == [("ada", tile_id(0), WEED)]

    def test_after_it_has_written_and_before_it_has_answered(self, desk, dune):
        desk.page.route("**/api/decisions", lambda route: (route.fetch(), route.abort()), times=1)
        desk.press("2")
        expect(desk.page.locator("#saving")).to_have_text("⚠ 1 not saved yet")
        desk.saved()
        assert log_of(dune) == [("ada", tile_id(0), WEED)]
        assert len((dune / "tiles" / LOG).read_text().splitlines()) == 1

    def test_a_disk_that_is_full_for_a_while(self, desk, dune):
        full = {"status": 507, "body": "review.jsonl cannot be written: No space left on device"}
        desk.page.route("**/api/decisions", lambda route: route.fulfill(**full), times=1)
        desk.press("2")
        expect(desk.page.locator("#notice")).to_contain_text("cannot be saved: review.jsonl cannot be written: No space left")
        desk.saved()
        assert log_of(dune) == [("ada", tile_id(0), WEED)]

    def test_pictures_that_did_not_come_are_asked_for_again(self, context, dune):
        context.route(re.compile(f"/api/picture.*{tile_id(1)}"), lambda route: route.abort())
        with served_here(open_folder(dune / "tiles")) as link:
            page = open_page(context, link)
            desk = Desk(page)
            context.route("**/api/pulse", lambda route: route.abort())
            desk.press("ArrowRight")
            expect(page.locator("#tile-trouble")).to_contain_text("The picture comes when the server is back")
            page.keyboard.press("2")
            desk.says("Wait for the picture of the tile.")
            page.evaluate("window.dispatchEvent(new Event('focus'))")  # or within five seconds
            expect(page.locator("#saving")).to_have_text("⚠ No server")
            context.unroute_all()
            page.evaluate("window.dispatchEvent(new Event('focus'))")
            desk.saved()
            desk.press("2")
            desk.saved()
        assert log_of(dune) == [("ada", tile_id(1), WEED)]


class TestGrid:
    def test_a_selection_at_once(self, desk, dune):
        desk.press("g")
        expect(desk.page.locator(f"[data-tile={tile_id(9)}] img")).to_be_visible()
        desk.page.wait_for_load_state("networkidle")
        desk.press("ArrowRight Shift+ArrowRight Shift+ArrowRight")
        expect(desk.page.locator("#selection-text")).to_have_text("3 tiles selected")
        desk.press("2")
        expect(desk.page.locator(".cell[data-verdict=accepted]")).to_have_count(3)
        desk.saved()
        assert log_of(dune) == [("ada", tile_id(i), WEED) for i in (1, 2, 3)]
        desk.press("z")
        expect(desk.page.locator(".cell[data-verdict=accepted]")).to_have_count(0)

    def test_by_mouse(self, desk, dune):
        desk.page.get_by_role("button", name="Grid G").click()
        desk.page.wait_for_load_state("networkidle")
        cell = desk.page.locator(".cell")
        cell.nth(0).click()
        cell.nth(2).click(modifiers=["Shift"])
        cell.nth(5).click(modifiers=["Control"])
        desk.page.get_by_role("button", name="R Reject").click()
        desk.saved()
        assert log_of(dune) == [("ada", tile_id(i), REJECTED) for i in (0, 1, 2, 5)]
        cell.nth(7).dblclick()
        desk.at(7)

    def test_accepting_takes_each_tiles_own_label(self, desk, dune):
        desk.press("g")
        desk.page.wait_for_load_state("networkidle")
        desk.press("Shift+ArrowRight Enter")
        desk.saved()
        assert log_of(dune) == [("ada", tile_id(0), SAND), ("ada", tile_id(1), WEED)]

    def test_goes_on_where_it_was_when_the_server_is_back(self, context, dune):
        context.route(re.compile(f"/api/thumbnail.*{tile_id(2)}"), lambda route: route.abort())
        with served_here(open_folder(dune / "tiles")) as link:
            page = open_page(context, link)
            desk = Desk(page)
            desk.press("g ArrowRight ArrowRight")
            expect(page.locator(".cell.damaged")).to_have_attribute("data-tile", tile_id(2))
            context.route("**/api/pulse", lambda route: route.abort())
            page.evaluate("window.dispatchEvent(new Event('focus'))")
            expect(page.locator("#saving")).to_have_text("⚠ No server")
            context.unroute_all()
            page.evaluate("window.dispatchEvent(new Event('focus'))")
            desk.saved()
            expect(page.locator(".cell.damaged")).to_have_count(0)
            expect(page.locator(".cell.focused")).to_have_attribute("data-tile", tile_id(2))

    def test_asks_before_it_decides_what_nobody_has_seen(self, desk, dune):
        desk.page.set_viewport_size({"width": 700, "height": 420})
        desk.press("g")
        desk.page.wait_for_load_state("networkidle")
        desk.press("Control+a 2")
        expect(desk.page.locator("#confirm-text")).to_contain_text("have not been on the screen. Decide all the same?")
        desk.page.keyboard.press("Escape")
        expect(desk.page.locator("#confirm-dialog")).to_be_hidden()
        desk.press("r")  # this says nothing of what they show
        desk.saved()
        assert [after for _, _, after in log_of(dune)] == [REJECTED] * 30


class TestTrouble:
    def test_a_missing_tile_is_shown_as_such_and_can_only_be_rejected(self, context, dune):
        (dune / "tiles" / f"{tile_id(0)}.png").unlink()
        with served_here(open_folder(dune / "tiles")) as link:
            page = open_page(context, link)
            desk = Desk(page)
            expect(page.locator("#tile-trouble")).to_contain_text(f"{tile_id(0)}.png is missing; make the tiles again")
            desk.press("2 a")
            desk.says("can only be rejected")
            desk.at(0)
            desk.press("r 2")
            desk.saved()
        assert log_of(dune) == [("ada", tile_id(0), REJECTED), ("ada", tile_id(1), WEED)]

    def test_a_damaged_tile_in_the_grid(self, context, dune):
        path = dune / "tiles" / f"{tile_id(3)}.png"
        path.write_bytes(path.read_bytes()[:200])
        with served_here(open_folder(dune / "tiles")) as link:
            page = open_page(context, link)
            Desk(page).press("g")
            expect(page.locator(".cell.damaged")).to_have_attribute("data-tile", tile_id(3))

    def test_a_tile_without_a_label_is_not_accepted(self, context, dune):
        add_columns(dune / "tiles", label=[None, "stone", *["sand", "weed"] * 14])
        with served_here(open_folder(dune / "tiles", classes=("sand", "weed"))) as link:
            page = open_page(context, link)
            desk = Desk(page)
            assert desk.fact("Label") == "none yet"
            expect(page.get_by_role("button", name="A Accept")).to_be_disabled()
            desk.press("Enter")
            desk.says("no label to accept")
            desk.press("ArrowRight Enter")
            assert desk.fact("Label") == "stone (not one of the classes)"
            desk.press("2 Enter")
            desk.saved()
        assert log_of(dune) == [("ada", tile_id(1), WEED), ("ada", tile_id(2), SAND)]

    def test_the_page_without_its_link(self, context, dune):
        with served_here(open_folder(dune / "tiles")) as link:
            page = context.new_page()
            answer = page.goto(link.split("open")[0])
            assert answer.status == 403
            assert "works once" in page.inner_text("body")


class TestOtherPages:
    """A page that another program of this machine serves is of the same site, so that the browser sends the cookie along."""

    @pytest.fixture
    def elsewhere(self, tmp_path):
        (tmp_path / "www").mkdir()
        (tmp_path / "www" / "index.html").write_text("<!doctype html><title>elsewhere</title>")
        handler = partial(QuietHandler, directory=tmp_path / "www")
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()
            thread.join()

    @pytest.fixture
    def stranger(self, browser, dune, elsewhere):
        """A page of elsewhere in a browser that has the review open, too, and the review's address."""
        with served_here(open_folder(dune / "tiles")) as link:
            context = browser.new_context()
            Desk(open_page(context, link))
            yield open_page(context, elsewhere), link.split("/open")[0]
            context.close()

    def test_cannot_decide(self, stranger, dune):
        page, address = stranger
        script = """([address, type]) => {
          const options = { method: "POST", mode: "no-cors", credentials: "include", body: "{}" };
          options.headers = { "Content-Type": type };
          return fetch(`${address}/api/decisions`, options).then((answer) => answer.type, () => "failed");
        }"""
        for content_type in ("application/json", "text/plain"):
            assert page.evaluate(script, [address, content_type]) in ("opaque", "failed")
        assert not (dune / "tiles" / LOG).exists()

    def test_cannot_see(self, stranger):
        page, address = stranger
        script = """(address) => {
          const image = new Image();
          image.src = `${address}/api/map?site=dune`;
          return image.decode().then(() => "a picture", () => "nothing");
        }"""
        assert page.evaluate(script, address) == "nothing"
        script = """(address) => fetch(`${address}/api/folder`, { credentials: "include" })
          .then((answer) => answer.text(), () => "nothing")"""
        assert page.evaluate(script, address) == "nothing"

    def test_cannot_frame_it(self, stranger):
        page, address = stranger
        page.evaluate(
            """(address) => new Promise((done) => {
              const frame = document.createElement("iframe");
              frame.src = address;
              frame.onload = done;
              document.body.append(frame);
            })""",
            address,
        )
        assert page.frames[1].url.startswith("chrome-error:")


class TestReviewers:
    def test_do_not_see_what_others_said_before_they_have_decided(self, context, dune):
        append_decisions(dune / "tiles" / LOG, [decided("bo", 0, SAND), decided("bo", 1, WEED)])
        with served_here(open_folder(dune / "tiles")) as link:
            page = open_page(context, link)
            desk = Desk(page)
            assert "bo" not in page.locator("#facts").inner_text()
            desk.press("2")
            desk.saved()
            desk.press("ArrowLeft")
            desk.at(0)
            assert desk.fact("bo") == "✓ sand (differs)"
            desk.press("z")
            expect(page.locator("#facts dt:text-is('bo')")).to_have_count(0)

    def test_take_turns_on_one_page(self, desk, dune):
        desk.press("2 2")
        desk.page.locator("#reviewer").click()
        desk.page.locator("#reviewer-name").fill("  bo ")
        desk.page.keyboard.press("Enter")
        expect(desk.page.locator("#reviewer")).to_have_text("Reviewer: bo")
        expect(desk.page.locator("#progress-text")).to_have_text("0 of 30 reviewed")
        desk.at(0)
        desk.press("1")
        desk.saved()
        desk.page.reload()
        expect(desk.page.locator("#reviewer")).to_have_text("Reviewer: bo")
        assert log_of(dune) == [("ada", tile_id(0), WEED), ("ada", tile_id(1), WEED), ("bo", tile_id(0), SAND)]

    def test_see_how_they_agree_and_what_is_disputed(self, desk, dune):
        log = [decided("bo", 0, WEED), decided("bo", 1, SAND), decided("bo", 2, SAND)]
        append_decisions(dune / "tiles" / LOG, log)
        desk.press("2 2 1")
        desk.saved()
        desk.press("p")
        pair = desk.page.locator("#progress-report table").nth(1).locator("tbody tr")
        expect(pair).to_have_text(re.compile(r"ada and bo\s*3\s*2 \(67 %\)\s*0\.40"))
        desk.page.get_by_role("button", name="Show the disputed tile").click()
        desk.has_tiles(1)
        desk.at(1)

    def test_hear_of_what_others_decide_meanwhile(self, desk, dune):
        desk.press("2 ArrowLeft")
        desk.saved()
        append_decisions(dune / "tiles" / LOG, [decided("bo", 0, SAND)])
        desk.page.evaluate("window.dispatchEvent(new Event('focus'))")  # or within five seconds
        expect(desk.page.locator("#facts dt:text-is('bo')")).to_have_count(1)


class TestFilters:
    def test_unreviewed_stay_in_the_list_until_it_is_renewed(self, desk):
        desk.show(show="unreviewed")
        desk.press("2 2")
        desk.has_tiles(30)
        desk.page.get_by_role("button", name="2 no longer match: renew the list").click()
        desk.has_tiles(28)
        desk.at(2)

    def test_least_confident_first(self, desk):
        desk.show(order="confidence")
        desk.press("Home")
        desk.at(29)
        assert desk.fact("Confidence") == "41 %"

    def test_a_plot_and_a_label(self, desk):
        desk.show(group="3")
        desk.has_tiles(6)
        desk.show(label="weed")
        desk.has_tiles(3)
        desk.page.reload()
        desk.has_tiles(3)
        desk.page.get_by_role("button", name="Show all tiles").click()
        desk.has_tiles(30)

    def test_by_key(self, desk, dune):
        desk.press("f r")  # in the list of what to show, R chooses "reviewed by me"
        desk.has_tiles(0)
        expect(desk.page.locator("#empty-text")).to_have_text("No tile matches these filters.")
        desk.page.keyboard.press("Escape")
        desk.page.keyboard.press("2")
        assert log_of(dune) == []


class TestKeys:
    def test_a_button_that_was_clicked_is_not_pressed_again_by_enter(self, desk, dune):
        desk.wait_for_picture()
        desk.page.get_by_role("button", name="2 weed").click()
        desk.press("Enter")
        desk.saved()
        assert log_of(dune) == [("ada", tile_id(0), WEED), ("ada", tile_id(1), WEED)]
        desk.press("Enter")
        desk.saved()
        assert log_of(dune)[-1] == ("ada", tile_id(2), SAND)

    def test_a_note_goes_with_the_decision(self, desk, dune):
        desk.press("n")
        desk.page.keyboard.type("2 r shade")
        desk.page.keyboard.press("Enter")
        expect(desk.page.locator("#note-dialog")).to_be_hidden()
        desk.press("2")
        desk.saved()
        assert log_of(dune) == [
            ("ada", tile_id(0), NOTHING.model_copy(update={"note": "2 r shade"})),
            ("ada", tile_id(0), WEED.model_copy(update={"note": "2 r shade"})),
        ]

    def test_one_that_is_held_down_decides_once(self, desk, dune):
        desk.wait_for_picture()
        for _ in range(3):
            desk.page.keyboard.down("2")
        desk.page.keyboard.up("2")
        desk.saved()
        assert len(log_of(dune)) == 1

    def test_space_goes_to_the_next_tile_that_is_not_reviewed(self, desk):
        desk.press("2 2 2 Home Space")
        desk.at(3)

    def test_what_is_shown_large(self, desk):
        for key, box in (("c", "around"), ("m", "map"), ("m", "tile")):
            desk.press(key)
            expect(desk.page.locator(f"#stage #{box}")).to_be_visible()

    def test_the_help_lists_them(self, desk):
        desk.press("?")
        expect(desk.page.locator("#help-keys")).to_contain_text("take the last decision back")
        desk.page.keyboard.press("Escape")
        expect(desk.page.locator("#help-dialog")).to_be_hidden()

    def test_every_action_has_a_button_with_a_name(self, desk):
        for name in ("1 sand", "2 weed", "A Accept: sand", "R Reject", "U Unsure", "N Note", "Z Undo", "Grid G", "Help ?"):
            expect(desk.page.get_by_role("button", name=name)).to_be_enabled()

    def test_brighter_and_sharper(self, desk):
        desk.press("b s")
        style = "getComputedStyle(document.querySelector('#tile-picture img'))"
        assert desk.page.evaluate(f"[{style}.filter, {style}.imageRendering]") == ["brightness(1.6)", "pixelated"]


class TestView:
    def test_the_tile_its_surroundings_and_its_place(self, desk):
        expect(desk.page.locator("#tile-picture img")).to_have_attribute("data-tile", tile_id(0))
        expect(desk.page.locator("#around-text")).to_have_text("from dune.tif")
        expect(desk.page.locator("#map-ring")).to_be_visible()
        assert desk.fact("Side") == "32 px, 32 cm"

    def test_a_click_on_the_map_goes_there(self, desk):
        first = desk.page.locator("#map-ring").bounding_box()
        desk.press("End")
        desk.at(29)
        desk.page.mouse.click(first["x"] + first["width"] / 2, first["y"] + first["height"] / 2)
        desk.at(0)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_light_and_dark_as_the_system_has_it(self, context, dune, scheme):
        with served_here(open_folder(dune / "tiles")) as link:
            page = context.new_page()
            page.emulate_media(color_scheme=scheme)
            page.goto(link)
            Desk(page)
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", paper))) > 384) == (scheme == "light")
