"""Who may talk to the server. Each test sends what a browser, or an attacker, would."""

import asyncio

import pytest
from starlette.responses import PlainTextResponse

from spurgekit.review.guard import Guard
from tests.review.asgi import HOST, request

PORT = 8765
JSON = {"content-type": "application/json"}
JSON_ARGUMENT = {"content_type": "application/json"}
ORIGIN = {"origin": f"http://{HOST}"}


async def inner(scope, receive, send):
    """An application that lets everybody do everything."""
    await PlainTextResponse(f"{scope['method']} {scope['path']}")(scope, receive, send)


@pytest.fixture
def guard():
    return Guard(inner, PORT)


def path_of(link):
    return link.removeprefix(f"http://{HOST}")


@pytest.fixture
def cookie(guard):
    """What the browser that has opened the link sends from then on."""
    answer = request(guard, path_of(guard.link))
    return {"cookie": answer.headers["set-cookie"].split(";")[0]}


class TestLink:
    def test_leads_to_the_page_and_out_of_the_address_bar(self, guard):
        answer = request(guard, path_of(guard.link))
        assert (answer.status, answer.headers["location"]) == (303, "/")

    def test_is_exchanged_for_a_cookie_that_scripts_and_other_sites_cannot_have(self, guard):
        name, *attributes = request(guard, path_of(guard.link)).headers["set-cookie"].split("; ")
        assert name.startswith(f"spurgekit-review-{PORT}=")
        assert len(name.split("=")[1]) >= 43  # 256 bits
        assert {attribute.lower() for attribute in attributes} == {"httponly", "path=/", "samesite=strict"}

    def test_works_once(self, guard):
        request(guard, path_of(guard.link))
        answer = request(guard, path_of(guard.link))
        assert answer.status == 403
        assert "works once" in answer.text
        assert "set-cookie" not in answer.headers

    @pytest.mark.parametrize("token", ["", "?token=", "?token=x", "?token=None", "?other=1"])
    def test_a_wrong_token_neither_opens_nor_spends_it(self, guard, token):
        assert request(guard, f"/open{token}").status == 403
        assert request(guard, path_of(guard.link)).status == 303

    def test_is_new_with_each_start(self, guard):
        other = Guard(inner, PORT)
        assert other.link != guard.link
        assert request(other, path_of(guard.link)).status == 403

    def test_is_on_the_loopback_interface(self, guard):
        assert guard.link.startswith(f"http://127.0.0.1:{PORT}/open?token=")


class TestSession:
    @pytest.mark.parametrize(
        "path", ["/", "/main.js", "/review.css", "/api/folder", "/api/picture?tile=a", "/nowhere", "/open/"]
    )
    def test_nothing_is_answered_without_it(self, guard, path):
        answer = request(guard, path)
        assert answer.status == 403
        assert "'spurgekit review'" in answer.text

    def test_everything_is_with_it(self, guard, cookie):
        assert request(guard, "/api/folder", headers=cookie).text == "GET /api/folder"

    @pytest.mark.parametrize(("site", "status"), [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)])
    def test_pages_of_other_sites_do_not_share_it(self, guard, cookie, site, status):
        assert request(guard, "/api/picture", headers={**cookie, "sec-fetch-site": site}).status == status

    @pytest.mark.parametrize(
        "value", ["", "x", "spurgekit-review-8765", "spurgekit-review-8765=", "spurgekit-review-8765=None", "a=b; =; c", "ü=1"]
    )
    def test_another_cookie_is_none(self, guard, value):
        request(guard, path_of(guard.link))
        assert request(guard, "/", headers={"cookie": value}).status == 403

    def test_that_of_another_server_is_none(self, cookie):
        assert request(Guard(inner, PORT), "/", headers=cookie).status == 403

    def test_servers_on_other_ports_have_cookies_of_their_own(self, cookie):
        other = Guard(inner, 9000)
        answer = request(other, other.link.removeprefix("http://127.0.0.1:9000"), headers={"host": "127.0.0.1:9000"})
        assert answer.headers["set-cookie"].split("=")[0] != cookie["cookie"].split("=")[0]


class TestHost:
    """A name of an attacker that resolves to 127.0.0.1 makes a page of theirs same-origin with the server (DNS rebinding)."""

    @pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765"])
    def test_the_loopbacks_names(self, guard, cookie, host):
        assert request(guard, "/", headers={**cookie, "host": host}).status == 200

    @pytest.mark.parametrize(
        "host", ["evil.example:8765", "127.0.0.1", "localhost", "127.0.0.1:80", "127.0.0.1:8765.evil.example", "[::1]:8765", ""]
    )
    def test_other_names(self, guard, cookie, host):
        assert request(guard, "/", headers={**cookie, "host": host}).status == 403
        assert request(guard, path_of(guard.link), headers={"host": host}).status == 403

    def test_none_or_two(self, guard, cookie):
        sent = []

        async def send(message):
            sent.append(message)

        for hosts in ([], [HOST.encode(), b"evil.example"]):
            headers = [*((b"host", host) for host in hosts), (b"cookie", cookie["cookie"].encode())]
            scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
            asyncio.run(guard(scope, None, send))
            assert sent[-2]["status"] == 403


class TestWriting:
    def post(self, guard, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        return request(guard, "/api/decisions", method="POST", headers=named, body=b"{}").status

    @pytest.mark.parametrize(
        "vouched",
        [{"origin": "http://127.0.0.1:8765"}, {"sec_fetch_site": "same-origin"},
         {"origin": "http://127.0.0.1:8765", "sec_fetch_site": "same-origin"}],
    )  # fmt: skip
    def test_from_the_page(self, guard, cookie, vouched):
        assert self.post(guard, **cookie, content_type="application/json", **vouched) == 200
        assert self.post(guard, **cookie, content_type="application/json; charset=utf-8", **vouched) == 200

    @pytest.mark.parametrize(
        "spoiled",
        [
            {"origin": None},
            {"origin": "http://evil.example"},
            {"origin": "https://127.0.0.1:8765"},
            {"origin": "http://127.0.0.1:9000"},
            {"origin": "http://localhost:8765"},  # another origin than the host that it was sent to
            {"origin": "null"},
            {"sec_fetch_site": "cross-site"},
            {"sec_fetch_site": "same-site"},
            {"sec_fetch_site": "none"},
        ],
    )
    def test_from_elsewhere(self, guard, cookie, spoiled):
        assert self.post(guard, **{**cookie, **JSON_ARGUMENT, **ORIGIN, **spoiled}) == 403

    @pytest.mark.parametrize(
        "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]
    )
    def test_what_a_form_could_send(self, guard, cookie, content_type):
        assert self.post(guard, **cookie, **ORIGIN, content_type=content_type) == 415

    def test_without_a_session(self, guard):
        assert self.post(guard, **JSON_ARGUMENT, **ORIGIN) == 403

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
    def test_by_other_methods(self, guard, cookie, method):
        assert request(guard, "/api/decisions", method=method, headers={**cookie, **JSON, **ORIGIN}).status == 405

    def test_the_token_by_other_methods(self, guard):
        assert request(guard, path_of(guard.link), method="POST", headers={**JSON, **ORIGIN}).status == 403
        assert request(guard, path_of(guard.link)).status == 303

    def test_no_answer_invites_other_origins(self, guard, cookie):
        for headers in ({}, cookie, {**cookie, "origin": "http://evil.example"}):
            answer = request(guard, "/", headers=headers)
            assert not [name for name in answer.headers if name.startswith("access-control")]


class TestBodies:
    def post(self, cookie, body=b"x", parts=1, **more):
        headers = {**cookie, **ORIGIN, **JSON, **more}
        got = []

        async def read(scope, receive, send):
            message = {"more_body": True}
            while message["more_body"]:
                message = await receive()
                got.append(message["body"])
            await PlainTextResponse(str(sum(map(len, got))))(scope, receive, send)

        guard = Guard(read, PORT)
        cookie = {"cookie": request(guard, path_of(guard.link)).headers["set-cookie"].split(";")[0]}
        return request(guard, "/", method="POST", headers={**headers, **cookie}, body=body, parts=parts), got

    def test_reach_the_application_whole(self, cookie):
        assert self.post(cookie, b"x" * 1000, parts=3)[0].text == "3000"

    def test_that_say_they_are_too_large_are_not_read(self, cookie):
        answer, got = self.post(cookie, **{"content-length": str(300 << 20)})
        assert (answer.status, answer.text, got) == (413, "Send up to 16 MiB at once.", [])

    @pytest.mark.parametrize("length", ["-1", "1e9", "9" * 5000])
    def test_of_no_length(self, cookie, length):
        assert self.post(cookie, **{"content-length": length})[0].status == 413

    def test_that_turn_out_too_large_are_not_read_on(self, cookie):
        answer, got = self.post(cookie, b"x" * (1 << 20), parts=300)
        assert (answer.status, got) == (413, [])


class TestHeaders:
    @pytest.mark.parametrize("headers", [{}, {"host": "evil.example"}])
    def test_of_what_is_refused(self, guard, headers):
        self.check(request(guard, "/", headers=headers))

    def test_of_what_is_not(self, guard, cookie):
        self.check(request(guard, "/", headers=cookie))
        self.check(request(guard, path_of(Guard(inner, PORT).link)))

    def check(self, answer):
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["img-src"] == "'self' blob:"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["x-frame-options"] == "DENY"

    def test_the_application_may_let_its_pictures_be_kept(self):
        async def keeping(scope, receive, send):
            await PlainTextResponse("picture", headers={"cache-control": "private, max-age=60"})(scope, receive, send)

        guard = Guard(keeping, PORT)
        cookie = request(guard, path_of(guard.link)).headers["set-cookie"].split(";")[0]
        assert request(guard, "/", headers={"cookie": cookie}).headers["cache-control"] == "private, max-age=60"


def test_websockets_are_not_answered(guard, cookie):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": [(b"host", HOST.encode())]}
    asyncio.run(guard(scope, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
