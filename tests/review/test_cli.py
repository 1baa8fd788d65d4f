"""``spurgekit review`` from the command line: what it prints, and one line for whatever it cannot do."""

import errno
import os
import socket
import sys
from queue import Queue

import pytest

from spurgekit.review.serve import login_name
from spurgekit.tiles.review_log import LOG, append_decisions
from tests.command import refuse, succeed
from tests.review import SAND, WEED, decided
from tests.review.served import serve


@pytest.fixture
def free(dune):
    """Two decisions in the log."""
    append_decisions(dune / "tiles" / LOG, [decided("ada", 0, WEED), decided("bo", 0, SAND)])
    return dune


@pytest.mark.usefixtures("free")
class TestReport:
    def test_is_printed_and_nothing_is_served(self):
        lines = succeed("review", "tiles", "--report").splitlines()
        assert lines[0] == "tiles: 1 of 30 tiles reviewed: 1 disputed"
        assert "ada and bo: kappa 0.00; they agree on 0 of 1 tiles" in lines

    def test_needs_no_server(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "uvicorn", None)
        assert succeed("review", "tiles", "--report").startswith("tiles: 1 of 30 tiles reviewed")

    def test_of_a_log_that_was_cut_off(self, free):
        log = free / "tiles" / LOG
        log.write_bytes(log.read_bytes()[:-9])
        *_, last = succeed("review", "tiles", "--report").splitlines()
        assert last.startswith("note: ")
        assert last.endswith("review.jsonl: line 2 is cut off or damaged, and left out")

    def test_in_a_surveys_folder(self, free):
        (free / "survey.toml").write_text('name = "dune"\nclasses = ["sand", "weed"]\n')
        assert succeed("review", "--report").startswith("tiles: 1 of 30 tiles reviewed")


@pytest.mark.usefixtures("dune")
class TestRefused:
    def test_an_empty_folder(self, dune):
        (dune / "empty").mkdir()
        line = refuse("review", "empty")
        assert line == (
            "spurgekit: empty holds neither tiles.parquet nor dataset.json; "
            "make tiles with 'spurgekit tile', or a dataset with 'spurgekit build-dataset'"
        )

    def test_no_folder_named(self):
        assert "name a folder of tiles or a dataset, or run this in a survey's folder" in refuse("review")

    @pytest.mark.parametrize(("module", "package"), [("fastapi", "fastapi>=0.111"), ("uvicorn", "uvicorn>=0.30")])
    def test_without_the_extra(self, monkeypatch, module, package):
        monkeypatch.setitem(sys.modules, module, None)
        line = refuse("review", "tiles")
        assert line == f'spurgekit: the review page needs packages that are not installed; pip install "{package}"'

    def test_a_port_that_is_taken(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            line = refuse("review", "tiles", "--port", port, "--no-browser")
        assert line.startswith(f"spurgekit: port {port} cannot be had (")
        assert line.endswith("); end what uses it, or pass another --port")

    def test_a_port_that_is_none(self):
        assert "--port 70000 is none" in refuse("review", "tiles", "--port", 70_000)

    def test_a_folder_that_cannot_be_written_to(self, monkeypatch):
        monkeypatch.setattr("spurgekit.review.serve.os.access", lambda _, mode: mode != os.W_OK)
        assert "tiles cannot be written to, and decisions are kept in it; review a copy of it" in refuse("review", "tiles")

    def test_a_reviewer_without_a_name(self):
        assert "a reviewer needs a name of up to 100 letters; pass it as --reviewer" in refuse(
            "review", "tiles", "--reviewer", " "
        )

    def test_imagery_that_is_not_there(self):
        line = refuse("review", "tiles", "--imagery", "nowhere")
        assert "nowhere has none of the images that the tiles were cut from" in line

    def test_predictions_that_are_not_there(self):
        assert "nowhere.csv: no such file" in refuse("review", "tiles", "--predictions", "nowhere.csv")


class TestServer:
    def test_greets_and_says_what_was_saved(self, dune):
        append_decisions(dune / "tiles" / LOG, [decided("ada", 0, WEED)])
        with serve(dune / "tiles", "--reviewer", "ada") as served:
            folder = (dune / "tiles").resolve()
            assert served.said[:-1] == [
                f"{folder}: 30 tiles, 1 of them reviewed by ada",
                "Open this link, which works once; Ctrl+C ends the review:",
            ]
            assert served.interrupt() == f"0 decisions saved in {folder / LOG}\n"
        assert served.process.returncode == 0

    def test_says_that_the_log_was_cut_off(self, dune):
        append_decisions(dune / "tiles" / LOG, [decided("ada", 0, WEED), decided("ada", 1, WEED)])
        (dune / "tiles" / LOG).write_bytes((dune / "tiles" / LOG).read_bytes()[:-9])
        with serve(dune / "tiles", "--reviewer", "ada") as served:
            assert served.said[0] == f"note: {(dune / 'tiles').resolve() / LOG}: line 2 is cut off or damaged, and left out"
            assert served.said[1].endswith("30 tiles, 1 of them reviewed by ada")

    def test_listens_on_the_loopback_interface_only(self, dune):
        with serve(dune / "tiles") as served:
            port = int(served.address.rstrip("/").rsplit(":", 1)[1])
            for address in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}:
                if not address.startswith("127."):
                    with pytest.raises(OSError) as caught:
                        socket.create_connection((address, port), timeout=2).close()
                    assert caught.value.errno == errno.ECONNREFUSED


def test_the_browser_is_opened(dune, monkeypatch):
    from spurgekit.review import ReviewOptions, review_tiles

    class Ends:
        def __init__(self, _, started):
            self.started = started

        def run(self, **_):
            self.started()
            raise KeyboardInterrupt

    opened, said = Queue(), []
    monkeypatch.setattr("spurgekit.review.serve.make_server", Ends)
    monkeypatch.setattr("spurgekit.review.serve.webbrowser.open", opened.put)
    review_tiles(dune / "tiles", ReviewOptions(port=0), say=said.append)
    assert opened.get(timeout=60) == said[-2]  # the link
    assert said[-1].startswith("0 decisions saved in ")


def test_the_login_name(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    assert login_name() == "ada"

    def nobody():
        raise KeyError("uid not found: 1000")

    monkeypatch.setattr("spurgekit.review.serve.getpass.getuser", nobody)
    assert login_name() == "reviewer"
