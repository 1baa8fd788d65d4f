import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

import spurgekit
from spurgekit.errors import InputError, OutputExistsError
from spurgekit.outputs import (
    FINGERPRINT_BYTES,
    PROVENANCE,
    check_begun,
    check_free,
    fingerprint,
    note_settings,
    output_folder,
    resumable_folder,
    save_tensors,
    write_provenance,
)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def make(path, text="new", **options):
    with output_folder(path, **options) as folder:
        (folder / "a.txt").write_text(text)
        (folder / PROVENANCE).write_text("{}")


class TestWholeOrNotAtAll:
    def test_the_name_appears_when_all_is_done(self, tmp_path):
        with output_folder(tmp_path / "deep" / "out") as folder:
            (folder / "a.txt").write_text("new")
            assert not (tmp_path / "deep" / "out").exists()
            assert folder.parent == tmp_path / "deep"  # the same disk, so that renaming is at once
        assert names(tmp_path) == ["deep", "deep/out", "deep/out/a.txt"]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
    def test_nothing_appears_when_it_fails(self, tmp_path, error):
        with pytest.raises(error), output_folder(tmp_path / "out") as folder:
            (folder / "sub").mkdir()
            (folder / "sub" / "a.txt").write_text("half")
            raise error
        assert names(tmp_path) == []

    def test_what_a_killed_run_left_is_not_taken_over(self, tmp_path):
        (tmp_path / ".out.partial").mkdir()
        (tmp_path / ".out.partial" / "old.txt").write_text("half")
        make(tmp_path / "out")
        assert names(tmp_path) == ["out", "out/a.txt", f"out/{PROVENANCE}"]

    def test_two_outputs_side_by_side(self, tmp_path):
        with output_folder(tmp_path / "a") as a, output_folder(tmp_path / "b") as b:
            assert a != b

    def test_in_the_working_folder_by_its_dot(self, tmp_path, monkeypatch):
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        make(".")
        assert names(tmp_path) == ["here", "here/a.txt", f"here/{PROVENANCE}"]


@pytest.mark.skipif(os.name != "posix", reason="files have no permissions for others")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_tensors_are_for_all_who_may_read_the_other_files(tmp_path, mask):
    before = os.umask(mask)
    try:
        save_tensors(tmp_path / "a.safetensors", {"weight": torch.arange(3).float()}, {"format": "pt"})
        (tmp_path / "other.txt").write_text("")
    finally:
        os.umask(before)
    tensors, other = (path.stat().st_mode for path in (tmp_path / "a.safetensors", tmp_path / "other.txt"))
    assert tensors == other
    assert load_file(tmp_path / "a.safetensors")["weight"].tolist() == [0, 1, 2]
    assert names(tmp_path) == ["a.safetensors", "other.txt"]


class TestOverwrite:
    def test_not_unless_asked(self, tmp_path):
        make(tmp_path / "out", "old")
        with pytest.raises(OutputExistsError, match="pass `overwrite` to replace it, or another `out`"):
            make(tmp_path / "out")
        assert (tmp_path / "out" / "a.txt").read_text() == "old"

    def test_replaces_the_whole_folder(self, tmp_path):
        make(tmp_path / "out", "old")
        (tmp_path / "out" / "b.txt").write_text("gone with it")
        make(tmp_path / "out", overwrite=True)
        assert names(tmp_path) == ["out", "out/a.txt", f"out/{PROVENANCE}"]
        assert (tmp_path / "out" / "a.txt").read_text() == "new"

    def test_the_old_one_stays_until_the_new_one_is_done(self, tmp_path):
        make(tmp_path / "out", "old")
        with pytest.raises(ZeroDivisionError), output_folder(tmp_path / "out", overwrite=True):
            assert (tmp_path / "out" / "a.txt").read_text() == "old"
            _ = 1 / 0
        assert names(tmp_path) == ["out", "out/a.txt", f"out/{PROVENANCE}"]

    def test_and_comes_back_where_the_new_one_cannot_take_its_name(self, tmp_path):
        make(tmp_path / "out", "old")
        with pytest.raises(FileNotFoundError), output_folder(tmp_path / "out", overwrite=True) as folder:
            folder.rmdir()  # somebody tidied up
        assert (tmp_path / "out" / "a.txt").read_text() == "old"
        assert names(tmp_path) == ["out", "out/a.txt", f"out/{PROVENANCE}"]

    def test_folders_of_others_are_never_replaced(self, tmp_path):
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "thesis.docx").touch()
        with pytest.raises(OutputExistsError, match="was not made by spurgekit, so it is not replaced"):
            make(tmp_path / "home", overwrite=True)
        assert names(tmp_path) == ["home", "home/thesis.docx"]

    def test_nor_one_that_holds_what_it_is_made_from(self, tmp_path):
        make(tmp_path / "out", "old")
        source = tmp_path / "out" / "a.txt"
        with pytest.raises(OutputExistsError, match=r"made from .*a\.txt in it; pass another `out`"):
            make(tmp_path / "out", overwrite=True, inputs=[tmp_path / "elsewhere.tif", source])
        assert source.read_text() == "old"

    def test_a_folder_inside_the_input_is_no_harm(self, tmp_path):
        make(tmp_path / "out", "old")
        make(tmp_path / "out" / "inner", inputs=[tmp_path / "out" / "a.txt"])
        assert (tmp_path / "out" / "a.txt").read_text() == "old"

    def test_an_empty_folder_is_free(self, tmp_path):
        (tmp_path / "out").mkdir()
        make(tmp_path / "out")
        assert (tmp_path / "out" / "a.txt").read_text() == "new"

    def test_a_file_is_not(self, tmp_path):
        (tmp_path / "out").touch()
        for overwrite in (False, True):
            with pytest.raises(OutputExistsError, match="is a file"):
                check_free(tmp_path / "out", overwrite=overwrite)


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
        write_provenance(tmp_path, parameters={"size_px": 250, "aoi": tmp_path / "a"}, inputs=[tmp_path / "site.tif"])
        record = json.loads((tmp_path / PROVENANCE).read_text())
        assert record["command"] == ["spurgekit", "tile", "site.tif"]
        assert record["versions"]["spurgekit"] == spurgekit.__version__
        assert record["parameters"] == {"size_px": 250, "aoi": str(tmp_path / "a")}
        assert record["inputs"] == {str(tmp_path / "site.tif"): fingerprint(tmp_path / "site.tif")}

    def test_a_later_step_is_recorded_beside_what_is_there(self, tmp_path):
        write_provenance(tmp_path, parameters={"steps": 25}, inputs=[])
        for keep in ("all", "confident"):
            write_provenance(tmp_path, parameters={"keep": keep}, inputs=[], step="confidence")
        record = json.loads((tmp_path / PROVENANCE).read_text())
        assert record["parameters"] == {"steps": 25}
        assert record["confidence"]["parameters"] == {"keep": "confident"}
        assert [path.name for path in tmp_path.iterdir()] == [PROVENANCE]

    def test_a_step_does_not_make_somebody_elses_folder_look_like_ours(self, tmp_path):
        write_provenance(tmp_path, parameters={}, inputs=[], step="confidence")
        assert not list(tmp_path.iterdir())

    def test_a_record_that_is_damaged(self, tmp_path):
        (tmp_path / PROVENANCE).write_text("{]")
        with pytest.raises(InputError, match=r"provenance\.json is damaged; make .* again"):
            write_provenance(tmp_path, parameters={}, inputs=[], step="confidence")
        assert (tmp_path / PROVENANCE).read_text() == "{]"

    def test_holds_no_time(self, tmp_path):
        texts = []
        for _ in range(2):
            write_provenance(tmp_path, parameters={}, inputs=[])
            texts.append((tmp_path / PROVENANCE).read_bytes())
        assert texts[0] == texts[1]


class TestResumableFolder:
    """A folder that an interrupted run leaves for the next one."""

    def begin(self, out, **settings):
        with pytest.raises(KeyboardInterrupt), resumable_folder(out, settings) as folder:
            (folder / "first.txt").write_text("1")
            raise KeyboardInterrupt
        assert not out.exists()

    def test_goes_on_where_it_was(self, tmp_path):
        self.begin(tmp_path / "out", steps=25)
        with resumable_folder(tmp_path / "out", {"steps": 25}) as folder:
            assert (folder / "first.txt").read_text() == "1"
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["first.txt"]
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_not_with_other_settings(self, tmp_path):
        self.begin(tmp_path / "out", steps=25, seed=0)
        with pytest.raises(OutputExistsError, match=r"begun with other settings \(steps\); pass `overwrite`"):  # noqa: SIM117
            with resumable_folder(tmp_path / "out", {"steps": 50, "seed": 0}):
                pass

    def test_begins_anew_when_told_to(self, tmp_path):
        self.begin(tmp_path / "out", steps=25)
        with resumable_folder(tmp_path / "out", {"steps": 50}, overwrite=True) as folder:
            assert not (folder / "first.txt").exists()

    def test_does_not_touch_a_folder_that_is_done(self, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").touch()
        with pytest.raises(OutputExistsError, match="exists already"), resumable_folder(tmp_path / "out", {}):
            pass


class TestSettings:
    """What a folder was begun with stands in it."""

    def test_a_folder_that_nothing_was_noted_in_is_not_begun(self, tmp_path):
        assert not check_begun(tmp_path / "nowhere", {"steps": 25}, tmp_path / "out")
        assert not check_begun(tmp_path, {"steps": 25}, tmp_path / "out")

    def test_the_same_settings_in_another_order(self, tmp_path):
        note_settings(tmp_path, {"steps": 25, "out": Path("a")})
        assert check_begun(tmp_path, {"out": Path("a"), "steps": 25}, tmp_path)

    @pytest.mark.parametrize(
        ("now", "what"),
        [({"steps": 50, "seed": 0}, "steps"), ({"steps": 50, "seed": 1}, "seed, steps"), ({"steps": 25}, "seed")],
    )
    def test_others_are_named(self, tmp_path, now, what):
        note_settings(tmp_path, {"steps": 25, "seed": 0})
        with pytest.raises(OutputExistsError) as caught:
            check_begun(tmp_path, now, Path("out"))
        said = f"out was begun with other settings ({what}); pass `overwrite` to start again, or another `out`"
        assert str(caught.value) == said

    def test_damaged_ones(self, tmp_path):
        (tmp_path / "settings.json").write_text('{"steps": 2')
        with pytest.raises(OutputExistsError, match="its settings are damaged"):
            check_begun(tmp_path, {"steps": 25}, tmp_path)
