"""The Hub's address: whether anything listens there."""

from __future__ import annotations

import socket

import pytest

from spurgekit import hub


class TestReaching:
    @pytest.fixture(autouse=True)
    def no_proxy(self, monkeypatch):
        monkeypatch.setattr(hub, "getproxies", dict)

    def test_a_port_that_listens_and_one_that_does_not(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert hub._reaches(f"http://127.0.0.1:{port}")
        assert not hub._reaches(f"http://127.0.0.1:{port}")

    def test_behind_a_proxy_only_the_proxy_knows(self, monkeypatch):
        monkeypatch.setattr(hub, "getproxies", lambda: {"https": "http://proxy:3128"})
        assert hub._reaches("https://nowhere.invalid")
