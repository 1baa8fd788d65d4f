import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from spurgekit.errors import InputError, OutputExistsError
from spurgekit.outputs import check_files, output_file, output_folder, save_tensors
from tests.outputs.listing import names


class TestOutputFile:
    def test_appears_whole(self, tmp_path):
        with output_file(tmp_path / "deep" / "a.txt") as partial:
            partial.write_text("half")
            assert not (tmp_path / "deep" / "a.txt").exists()
            partial.write_text("whole")
        assert names(tmp_path) == ["deep", "deep/a.txt"]
        assert (tmp_path / "deep" / "a.txt").read_text() == "whole"

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_or_not_at_all(self, tmp_path, error):
        (tmp_path / "a.txt").write_text("old")
        with pytest.raises(error), output_file(tmp_path / "a.txt") as partial:
            partial.write_text("half")
            raise error
        assert names(tmp_path) == ["a.txt"]
        assert (tmp_path / "a.txt").read_text() == "old"

    def test_of_two_writers_the_last_wins_whole(self, tmp_path):
        with output_file(tmp_path / "a.txt") as one:
            one.write_text("one")
            with output_file(tmp_path / "a.txt") as other:
                other.write_text("other")
            assert (tmp_path / "a.txt").read_text() == "other"
        assert (tmp_path / "a.txt").read_text() == "one"
        assert names(tmp_path) == ["a.txt"]

    def test_files_of_others_that_are_called_partial_stay(self, tmp_path):
        (tmp_path / ".a.partial.txt").write_text("mine")
        with output_file(tmp_path / "a.txt") as partial:
            partial.write_text("whole")
        assert (tmp_path / ".a.partial.txt").read_text() == "mine"


class TestCheckFiles:
    def test_what_is_not_there_is_free(self, tmp_path):
        check_files(tmp_path / "a.csv", tmp_path / "a.png", overwrite=False, inputs=[tmp_path / "site.png"])

    def test_each_is_looked_at(self, tmp_path):
        (tmp_path / "a.png").touch()
        with pytest.raises(OutputExistsError, match=r"a\.png exists already; pass `overwrite`"):
            check_files(tmp_path / "a.csv", tmp_path / "a.png", overwrite=False)
        check_files(tmp_path / "a.csv", tmp_path / "a.png", overwrite=True)

    def test_an_input_is_never_replaced(self, tmp_path, monkeypatch):
        (tmp_path / "site.png").touch()
        (tmp_path / "link.png").symlink_to(tmp_path / "site.png")
        monkeypatch.chdir(tmp_path)
        for path in (tmp_path / "site.png", Path("site.png"), Path("link.png")):
            with pytest.raises(OutputExistsError, match="would replace what it is made from; pass another `out`"):
                check_files(path, overwrite=True, inputs=[Path("site.png")])

    def test_nor_a_folder(self, tmp_path):
        with pytest.raises(OutputExistsError, match="is a folder"):
            check_files(tmp_path, overwrite=True)


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


@pytest.mark.parametrize("name", ["s3://bucket/x", "https://example.org/x", "zip:/x", "/vsimem/x", "a.zip!x", "a!b"])
def test_outputs_have_no_names_that_gdal_takes_for_something_else(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="pass an"), output_folder(name, "tiles", parameters={}):
        pass
    with pytest.raises(InputError, match="pass an"):
        check_files(Path(f"{name}.gpkg"), overwrite=False)
    assert names(tmp_path) == []


def test_nothing_is_made_in_a_file(tmp_path):
    (tmp_path / "a").write_text("mine")
    with (
        pytest.raises(OutputExistsError, match="a is a file, so nothing"),
        output_folder(tmp_path / "a" / "b", "tiles", parameters={}),
    ):
        pass
    assert (tmp_path / "a").read_text() == "mine"
