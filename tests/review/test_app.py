"""What the server answers, with the guard in front of it."""

import json
from importlib import resources

import pytest

from spurgekit.review import open_folder
from spurgekit.review.app import Review, make_app
from spurgekit.review.guard import Guard
from spurgekit.review.shared_log import SharedLog
from spurgekit.review.site_images import find_site_images
from spurgekit.review.surroundings import Surroundings
from spurgekit.review.tile_pictures import TilePictures
from spurgekit.tiles.review_log import LOG, append_decisions, read_decisions
from tests.review import NOTHING, REJECTED, SAND, WEED, decided, tile_id
from tests.review.asgi import HOST, request


class Client:
    """A browser with a session."""

    def __init__(self, folder):
        pictures = TilePictures(folder)
        self.review = Review(
            folder, SharedLog(folder.path), pictures, Surroundings(folder, pictures, find_site_images(folder)), "ada"
        )
        self.guard = Guard(make_app(self.review), 8765)
        answer = request(self.guard, self.guard.link.removeprefix(f"http://{HOST}"))
        self.cookie = {"cookie": answer.headers["set-cookie"].split(";")[0]}

    def get(self, path):
        return request(self.guard, path, headers=self.cookie)

    def post(self, content, path="/api/decisions"):
        headers = {**self.cookie, "origin": f"http://{HOST}", "content-type": "application/json"}
        return request(self.guard, path, method="POST", headers=headers, body=json.dumps(content).encode())

    def decide(self, *entries):
        answer = self.post({"folder": self.review.key, "entries": list(entries)})
        assert answer.status == 200, answer.text
        return answer.json()


def entry(number, after, who="ada", **more):
    after = after if isinstance(after, dict) else after.model_dump()
    plain = {"id": f"{who}-{number}", "when": "2026-06-14T09:30:00Z", "who": who, "tile": tile_id(number), "after": after}
    return {**plain, **more}


MALFORMED = (None, 7, 1.5, True, [], ["a"], {"a": 1}, float("nan"), "", "x" * 101, "\ud800")


@pytest.fixture
def client(folder):
    client = Client(folder)
    yield client
    client.review.surroundings.close()


class TestWhatIsMalformed:
    @pytest.mark.parametrize("id", MALFORMED)
    def test_an_id(self, client, id):  # noqa: A002
        answer = client.decide(entry(0, WEED), entry(1, SAND, id=id))
        assert (answer["saved"], len(answer["refused"])) == (["ada-0"], 1)

    @pytest.mark.parametrize("field", ["when", "who", "tile", "after"])
    @pytest.mark.parametrize("value", [None, [], ["a"], {"a": 1}, {"verdict": "accepted"}, "", "\ud800", {"note": "\ud800"}])
    def test_a_field(self, client, field, value):
        answer = client.decide(entry(0, WEED), entry(1, SAND) | {field: value})
        assert (answer["saved"], answer["refused"]) == (["ada-0"], ["ada-1"])

    @pytest.mark.parametrize("content", [None, [], 7, {}, {"folder": float("nan")}, {"folder": "a", "entries": [7]}])
    def test_all_of_it(self, client, content):
        assert client.post(content).status == 422


class TestPage:
    def test_its_files(self, client):
        page = client.get("/")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert client.get("/main.js").headers["content-type"] == "text/javascript; charset=utf-8"
        assert client.get("/review.css").headers["content-type"] == "text/css; charset=utf-8"

    @pytest.mark.parametrize(
        "path",
        ["/../app.py", "/%2e%2e/app.py", "/static/main.js", "/app.py", "/index.html/..", "//etc/passwd", "/main.js/../app.py",
         "/api/../main.js", "/docs", "/redoc", "/openapi.json"],
    )  # fmt: skip
    def test_no_other_file_whatever_the_path(self, client, path):
        assert client.get(path).status == 404

    def test_it_asks_for_nothing_from_elsewhere(self):
        for file in (resources.files("spurgekit.review") / "static").iterdir():
            text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert "http:" not in text, file.name
            assert "https:" not in text, file.name


class TestFolder:
    def test_tiles_in_columns(self, client):
        found = client.get("/api/folder").json()
        assert (found["classes"], found["group"], found["reviewer"]) == (["sand", "weed"], "plot", "ada")
        assert {name: len(column) for name, column in found["tiles"].items()} == dict.fromkeys(
            ["id", "label", "site", "group", "confidence", "size_px", "gsd_m", "place"], 30
        )
        assert [column[1] for column in found["tiles"].values()][:6] == [tile_id(1), "weed", 0, "1", 0.97, 32]
        assert found["sites"][0]["name"] == "dune"
        assert found["sites"][0]["map"].keys() == {"width", "height", "tile"}

    def test_the_key_is_the_folders(self, client, dune):
        again = Client(open_folder(dune / "tiles"))
        assert again.review.key == client.review.key == client.get("/api/folder").json()["key"]
        again.review.surroundings.close()


class TestDecisions:
    def test_are_on_the_disk_when_it_answers(self, client, dune):
        answer = client.decide(entry(0, WEED), entry(1, REJECTED))
        assert (answer["saved"], answer["refused"]) == (["ada-0", "ada-1"], [])
        assert [(d.who, d.tile, d.after) for d in read_decisions(dune / "tiles" / LOG)] == [
            ("ada", tile_id(0), WEED), ("ada", tile_id(1), REJECTED),
        ]  # fmt: skip

    def test_sent_again_count_once(self, client, dune):
        for _ in range(2):
            assert client.decide(entry(0, WEED))["saved"] == ["ada-0"]
        assert len(read_decisions(dune / "tiles" / LOG)) == 1

    @pytest.mark.parametrize(
        "spoiled",
        [
            {"tile": ""},
            {"after": {"verdict": "accepted"}},
            {"after": {"verdict": "perhaps"}},
            {"after": None},
            {"who": " "},
            {"when": "yesterday"},
            {"id": 7},
        ],
    )
    def test_one_that_cannot_be_taken_holds_up_no_other(self, client, dune, spoiled):
        answer = client.decide({**entry(0, WEED), **spoiled}, entry(1, SAND))
        assert answer["saved"] == ["ada-1"]
        assert len(answer["refused"]) == 1
        assert [decision.tile for decision in read_decisions(dune / "tiles" / LOG)] == [tile_id(1)]

    def test_about_what_the_folder_no_longer_has_are_kept_all_the_same(self, client, dune):
        gone, other = entry(99, WEED), entry(0, {"verdict": "accepted", "label": "stone", "note": ""})
        assert client.decide(gone, other)["refused"] == []
        assert [(d.tile, d.after.label) for d in read_decisions(dune / "tiles" / LOG)] == [
            (tile_id(99), "weed"), (tile_id(0), "stone"),
        ]  # fmt: skip
        assert client.get("/api/report").json()["elsewhere"] == 1

    def test_about_another_folder(self, client, dune):
        answer = client.post({"folder": "0" * 16, "entries": [entry(0, WEED)]})
        assert (answer.status, answer.text) == (409, "the server shows another folder now, tiles")
        assert not (dune / "tiles" / LOG).exists()

    @pytest.mark.parametrize("content", [[], {}, {"folder": "x"}, {"folder": 1, "entries": 2}, "text", None])
    def test_that_are_none(self, client, content):
        assert client.post(content).status == 422

    def test_too_many_at_once(self, client):
        assert client.post({"folder": client.review.key, "entries": [{}] * 1001}).status == 422

    def test_that_the_disk_has_no_room_for(self, client, monkeypatch):
        def full(*arguments):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("spurgekit.review.shared_log.append_decisions", full)
            answer = client.post({"folder": client.review.key, "entries": [entry(0, WEED)]})
        assert (answer.status, answer.text) == (507, "review.jsonl cannot be written: No space left on device")
        assert client.decide(entry(0, WEED))["saved"] == ["ada-0"]


class TestOpinions:
    def of(self, client, who):
        return client.get(f"/api/opinions?who={who}").json()

    def test_ones_own(self, client):
        client.decide(entry(0, WEED), entry(1, NOTHING.model_copy(update={"note": "shade"})))
        assert self.of(client, "ada")["own"] == {tile_id(0): ["accepted", "weed", ""], tile_id(1): [None, None, "shade"]}

    def test_others_show_once_one_has_decided(self, client):
        client.decide(entry(0, WEED), entry(1, WEED))
        assert self.of(client, "bo")["others"] == {}
        answer = client.decide(entry(0, SAND, who="bo"))
        assert answer["others"] == {"bo": {tile_id(0): {"ada": ["accepted", "weed", ""]}}}
        found = self.of(client, "bo")
        assert found["others"] == {tile_id(0): {"ada": ["accepted", "weed", ""]}}
        assert (found["disputed"], found["reviewers"]) == ([tile_id(0)], ["ada", "bo"])

    def test_and_no_longer_when_it_is_taken_back(self, client):
        client.decide(entry(0, WEED), entry(0, SAND, who="bo"))
        answer = client.decide(entry(0, NOTHING, who="bo", id="undo"))
        assert answer["others"] == {"bo": {}}
        assert self.of(client, "bo")["others"] == {}

    def test_a_third_reviewer_learns_that_a_tile_is_disputed_and_no_more(self, client):
        client.decide(entry(0, WEED), entry(0, SAND, who="bo"))
        found = self.of(client, "cy")
        assert (found["disputed"], found["others"], found["own"]) == ([tile_id(0)], {}, {})

    def test_the_pulse_tells_of_what_another_process_adds(self, client, dune):
        before = client.get("/api/pulse").json()
        append_decisions(dune / "tiles" / LOG, [decided("bo", 0, WEED)])
        after = client.get("/api/pulse").json()
        assert before["folder"] == after["folder"] == client.review.key
        assert after["revision"] > before["revision"]
        assert after["revision"] == self.of(client, "ada")["revision"]

    @pytest.mark.parametrize("who", ["%20", "x" * 101])
    def test_of_nobody(self, client, who):
        assert client.get(f"/api/opinions?who={who}").status == 422


def test_the_report(client):
    client.decide(entry(0, WEED), entry(1, WEED), entry(0, SAND, who="bo"), entry(1, WEED, who="bo"))
    found = client.get("/api/report").json()
    assert [(one["reviewer"], one["reviewed"]) for one in found["reviewers"]] == [("ada", 2), ("bo", 2)]
    assert found["pairs"] == [{"reviewers": ["ada", "bo"], "tiles": 2, "agreed": 1, "kappa": 0.0}]
    assert found["disputed"] == {tile_id(0): {"ada": "weed", "bo": "sand"}}


class TestPictures:
    def test_of_a_tile(self, client, folder):
        answer = client.get(f"/api/picture?tile={tile_id(0)}")
        assert (answer.headers["content-type"], answer.body) == ("image/png", folder.tiles[0].path.read_bytes())
        assert answer.headers["cache-control"].startswith("private")

    @pytest.mark.parametrize("what", ["picture?", "thumbnail?px=128&", "surroundings?"])
    @pytest.mark.parametrize("tile", ["nowhere", "../overview.png", "%2e%2e%2foverview.png", "overview.png", ""])
    def test_only_of_tiles_of_the_index(self, client, what, tile):
        assert client.get(f"/api/{what}tile={tile}").status == 404

    def test_of_a_missing_tile(self, client, folder):
        folder.tiles[0].path.unlink()
        answer = client.get(f"/api/picture?tile={tile_id(0)}")
        assert (answer.status, answer.text) == (422, f"{tile_id(0)}.png is missing; make the tiles again")
        assert client.get(f"/api/picture?tile={tile_id(1)}").status == 200

    @pytest.mark.parametrize(("px", "status"), [(128, 200), (32, 200), (512, 200), (31, 422), (513, 422), ("large", 422)])
    def test_thumbnails_of_a_few_sizes(self, client, px, status):
        assert client.get(f"/api/thumbnail?tile={tile_id(0)}&px={px}").status == status

    def test_of_its_surroundings(self, client):
        answer = client.get(f"/api/surroundings?tile={tile_id(0)}")
        assert (answer.headers["content-type"], answer.headers["x-made-from"]) == ("image/jpeg", "dune.tif")

    def test_of_the_site(self, client, dune):
        assert client.get("/api/map?site=dune").body == (dune / "tiles" / "overview.png").read_bytes()
        assert client.get("/api/map?site=../dune").status == 404
