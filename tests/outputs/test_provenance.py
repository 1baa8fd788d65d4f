import hashlib
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spurgekit
from spurgekit.errors import InputError
from spurgekit.outputs import PROVENANCE, add_provenance, fingerprint
from spurgekit.outputs.provenance import FINGERPRINT_BYTES, write_provenance


class TestFingerprint:
    @given(st.binary(max_size=200))
    def test_of_a_small_file_is_its_hash(self, tmp_path_factory, content):
        path = tmp_path_factory.mktemp("f") / "a"
        path.write_bytes(content)
        assert fingerprint(path) == {"bytes": len(content), "sha256_of_ends": hashlib.sha256(content).hexdigest()}

    @pytest.mark.parametrize("extra", [0, 1, FINGERPRINT_BYTES - 1, FINGERPRINT_BYTES])
    def test_up_to_two_mib_every_byte_counts_once(self, tmp_path, extra):
        content = bytes(range(251)) * (FINGERPRINT_BYTES // 100)
        content = content[: FINGERPRINT_BYTES + extra]
        (tmp_path / "a").write_bytes(content)
        assert fingerprint(tmp_path / "a")["sha256_of_ends"] == hashlib.sha256(content).hexdigest()

    def test_of_a_large_file_hashes_its_ends(self, tmp_path):
        content = bytearray(3 * FINGERPRINT_BYTES)
        path = tmp_path / "a"
        path.write_bytes(content)
        first = fingerprint(path)
        assert first == fingerprint(path)
        for at, differs in ((0, True), (FINGERPRINT_BYTES, False), (len(content) - 1, True)):
            content[at] = 1
            path.write_bytes(content)
            assert (fingerprint(path) != first) is differs
            content[at] = 0

    def test_of_a_folder_is_its_provenances(self, tmp_path):
        nothing = fingerprint(tmp_path)
        assert nothing["files"] == 0
        (tmp_path / "mask.png").write_bytes(b"1")
        one = fingerprint(tmp_path)
        assert one["files"] == 1
        (tmp_path / "mask.png").write_bytes(b"22")
        assert len({found["sha256_of_names_and_sizes"] for found in (nothing, one, fingerprint(tmp_path))}) == 3
        (tmp_path / PROVENANCE).write_text("{}")
        assert fingerprint(tmp_path) == fingerprint(tmp_path / PROVENANCE)


class TestProvenance:
    def test_says_how_it_was_made(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["/usr/local/bin/spurgekit", "tile", "site.tif"])
        (tmp_path / "site.tif").write_text("pixels")
        write_provenance(tmp_path, "tiles", {"size_px": 250, "aoi": tmp_path / "a"}, [tmp_path / "site.tif"])
        record = json.loads((tmp_path / PROVENANCE).read_text())
        assert record["kind"] == "tiles"
        assert record["command"] == ["spurgekit", "tile", "site.tif"]
        assert record["versions"]["spurgekit"] == spurgekit.__version__
        assert record["parameters"] == {"size_px": 250, "aoi": str(tmp_path / "a")}
        assert record["inputs"] == {str(tmp_path / "site.tif"): fingerprint(tmp_path / "site.tif")}

    def test_a_later_step_is_recorded_beside_what_is_there(self, tmp_path):
        write_provenance(tmp_path, "synthetic tiles", {"steps": 25}, [])
        for keep in ("all", "confident"):
            add_provenance(tmp_path, "confidence", {"keep": keep}, [])
        record = json.loads((tmp_path / PROVENANCE).read_text())
        assert record["parameters"] == {"steps": 25}
        assert record["confidence"]["parameters"] == {"keep": "confident"}
        assert [path.name for path in tmp_path.iterdir()] == [PROVENANCE]

    def test_a_step_does_not_make_somebody_elses_folder_look_like_ours(self, tmp_path):
        add_provenance(tmp_path, "confidence", {}, [])
        assert not list(tmp_path.iterdir())

    def test_a_record_that_is_damaged(self, tmp_path):
        (tmp_path / PROVENANCE).write_text("{]")
        with pytest.raises(InputError, match=r"provenance\.json is damaged; make .* again"):
            add_provenance(tmp_path, "confidence", {}, [])
        assert (tmp_path / PROVENANCE).read_text() == "{]"

    def test_holds_no_time(self, tmp_path):
        texts = []
        for _ in range(2):
            write_provenance(tmp_path, "tiles", {}, [])
            texts.append((tmp_path / PROVENANCE).read_bytes())
        assert texts[0] == texts[1]
