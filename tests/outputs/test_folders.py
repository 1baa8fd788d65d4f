import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spurgekit.errors import OutputExistsError, OutputInUseError, SpurgekitError
from spurgekit.outputs import (
    CHECKSUMS,
    PROVENANCE,
    check_begun,
    check_output,
    folders,
    note_checksums,
    note_settings,
    output_folder,
    output_lock,
    resumable_folder,
)
from spurgekit.outputs import exchange as exchanging
from spurgekit.outputs.checksums import read_checksums, write_checksums
from spurgekit.outputs.folders import MARK
from tests.outputs.listing import RECORDS, names


def make(path, text="new", kind="tiles", **options):
    with output_folder(path, kind, parameters={}, **options) as folder:
        (folder / "a.txt").write_text(text)


def lists(folder):
    """What lies in a folder, but for the records that each output has."""
    return [name for name in names(folder) if Path(name).name not in RECORDS]


class TestWholeOrNotAtAll:
    def test_the_name_appears_when_all_is_done(self, tmp_path):
        with output_folder(tmp_path / "deep" / "out", "tiles", parameters={}) as folder:
            (folder / "a.txt").write_text("new")
            assert not (tmp_path / "deep" / "out").exists()
            assert folder.parent == tmp_path / "deep"  # the same disk, so that renaming is at once
        assert names(tmp_path) == ["deep", "deep/out", f"deep/out/{CHECKSUMS}", "deep/out/a.txt", f"deep/out/{PROVENANCE}"]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
    def test_nothing_appears_when_it_fails(self, tmp_path, error):
        with pytest.raises(error), output_folder(tmp_path / "out", "tiles", parameters={}) as folder:
            (folder / "sub").mkdir()
            (folder / "sub" / "a.txt").write_text("half")
            raise error
        assert names(tmp_path) == []

    def test_nothing_appears_where_a_thread_writes_on_for_a_while(self, tmp_path, monkeypatch):
        late, remove = ["first", "second"], shutil.rmtree

        def rmtree(folder):
            remove(folder)
            if late:
                (folder / late.pop()).mkdir(parents=True)

        monkeypatch.setattr(folders.shutil, "rmtree", rmtree)
        with pytest.raises(KeyboardInterrupt), output_folder(tmp_path / "out", "tiles", parameters={}) as folder:
            (folder / "sub").mkdir()
            raise KeyboardInterrupt
        assert late == []
        assert names(tmp_path) == []

    def test_nor_do_the_folders_that_it_was_to_lie_in(self, tmp_path):
        (tmp_path / "exports").mkdir()
        with pytest.raises(SpurgekitError), output_folder(tmp_path / "exports" / "site" / "crew", "tiles", parameters={}):
            raise SpurgekitError("refused")
        assert names(tmp_path) == ["exports"], "those that were there before stay"

    def test_what_a_killed_run_left_is_not_taken_over(self, tmp_path):
        kill("tiles", tmp_path / "out")
        assert lists(tmp_path) == [".out.lock", ".out.partial", f".out.partial/{MARK}", ".out.partial/half.txt"]
        make(tmp_path / "out")
        assert lists(tmp_path) == ["out", "out/a.txt"]

    def test_what_is_not_as_listed_does_not_appear(self, tmp_path, monkeypatch):
        def write_and_lose(folder, **options):
            write_checksums(folder, **options)
            (folder / "a.txt").unlink()  # as a program that clears away old files may

        monkeypatch.setattr(folders, "write_checksums", write_and_lose)
        with pytest.raises(
            SpurgekitError, match=r"another program changed .*\.out\.partial while out was made in it; run it again"
        ):
            make(tmp_path / "out")
        monkeypatch.undo()
        assert not (tmp_path / "out").exists()
        make(tmp_path / "out")
        assert lists(tmp_path) == ["out", "out/a.txt"]

    def test_what_was_noted_as_written_is_listed_and_has_to_be_there(self, tmp_path):
        def write(*written):
            with output_folder(tmp_path / "out", "tiles", parameters={}) as folder:
                for name in written:
                    (folder / name).write_bytes(b"abc")
                note_checksums(folder, dict.fromkeys(("a.txt", "b.txt"), hashlib.sha256(b"abc").hexdigest()))

        with pytest.raises(SpurgekitError, match=r"another program changed .*\.out\.partial"):
            write("a.txt")
        write("a.txt", "b.txt", "c.txt")
        sums = read_checksums(tmp_path / "out")
        assert {name: sums[name] == sums["c.txt"] for name in sums} == {
            "a.txt": True, "b.txt": True, "c.txt": True, PROVENANCE: False,
        }  # fmt: skip

    def test_two_outputs_side_by_side(self, tmp_path):
        with (
            output_folder(tmp_path / "a", "tiles", parameters={}) as a,
            output_folder(tmp_path / "b", "tiles", parameters={}) as b,
        ):
            assert a != b

    def test_one_within_another(self, tmp_path):
        with output_folder(tmp_path / "demo", "demo", parameters={}) as folder:
            make(folder / "tiles")
        assert lists(tmp_path) == ["demo", "demo/tiles", "demo/tiles/a.txt"]

    @pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum")
    def test_sha256sum_reads_the_list(self, tmp_path):
        with output_folder(tmp_path / "out", "tiles", parameters={}) as folder:
            (folder / "sub").mkdir()
            (folder / "sub" / "two words.txt").write_text("b")
        checked = subprocess.run(
            ["sha256sum", "--check", "--strict", CHECKSUMS], cwd=tmp_path / "out", capture_output=True, text=True, check=True
        )
        assert checked.stdout.splitlines() == [f"{PROVENANCE}: OK", "sub/two words.txt: OK"]


KILLED = """
import os, sys
from spurgekit.outputs import output_folder, resumable_folder
kind, out = sys.argv[1:]
whole = output_folder(out, kind, parameters={}) if kind == "tiles" else resumable_folder(out, kind, {"steps": 25})
with whole as folder:
    (folder / "half.txt").write_text("half")
    os._exit(9)
"""


def kill(kind, out):
    """Begin an output in a process that ends without a word."""
    assert subprocess.run([sys.executable, "-c", KILLED, kind, str(out)], check=False).returncode == 9


HOLDING = """
import sys
from pathlib import Path
from spurgekit.outputs import output_folder
with output_folder(sys.argv[1], "tiles", parameters={}) as folder:
    print("begun", flush=True)
    sys.stdin.readline()
    (folder / "a.txt").write_text("theirs")
"""


class TestTwoProcesses:
    def test_the_second_says_who_is_at_work_and_changes_nothing(self, tmp_path):
        with subprocess.Popen(
            [sys.executable, "-c", HOLDING, str(tmp_path / "out")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout.readline() == "begun\n"
            with pytest.raises(OutputInUseError) as caught:
                make(tmp_path / "out")
            told = f"is writing {tmp_path / 'out'}; wait until it is done, or pass another `out`"
            assert str(caught.value).startswith(f"process {other.pid} on ")
            assert str(caught.value).endswith(told)
            other.communicate("\n")
        assert (tmp_path / "out" / "a.txt").read_text() == "theirs"
        assert lists(tmp_path) == ["out", "out/a.txt"]

    def test_nor_two_threads(self, tmp_path):
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as threads, output_lock(tmp_path / "out"):
            make(tmp_path / "out")  # the thread that holds it may
            with pytest.raises(OutputInUseError, match=f"process {os.getpid()} on"):
                threads.submit(make, tmp_path / "out", overwrite=True).result()
        assert lists(tmp_path) == ["out", "out/a.txt"]

    def test_a_lock_of_a_killed_process_holds_nobody(self, tmp_path):
        kill("tiles", tmp_path / "out")
        assert (tmp_path / ".out.lock").exists()
        with output_lock(tmp_path / "out"):
            pass
        assert not (tmp_path / ".out.lock").exists()

    def test_a_file_of_others_that_is_called_like_the_lock(self, tmp_path):
        (tmp_path / ".out.lock").write_text("my notes")
        with pytest.raises(OutputExistsError, match=r"\.out\.lock is in the way and no lock of spurgekit's; rename it"):
            make(tmp_path / "out")
        assert (tmp_path / ".out.lock").read_text() == "my notes"
        assert names(tmp_path) == [".out.lock"]


class TestOverwrite:
    def test_not_unless_asked(self, tmp_path):
        make(tmp_path / "out", "old")
        with pytest.raises(OutputExistsError, match="pass `overwrite` to replace it, or another `out`"):
            make(tmp_path / "out")
        assert (tmp_path / "out" / "a.txt").read_text() == "old"

    def test_replaces_the_whole_folder(self, tmp_path):
        with output_folder(tmp_path / "out", "tiles", parameters={}) as folder:
            (folder / "sub").mkdir()
            (folder / "sub" / "b.txt").write_text("old")
        make(tmp_path / "out", overwrite=True)
        assert lists(tmp_path) == ["out", "out/a.txt"]
        assert (tmp_path / "out" / "a.txt").read_text() == "new"

    def test_the_old_one_stays_until_the_new_one_is_done(self, tmp_path):
        make(tmp_path / "out", "old")
        with (
            pytest.raises(ZeroDivisionError),
            output_folder(tmp_path / "out", "tiles", parameters={}, overwrite=True),
        ):
            assert (tmp_path / "out" / "a.txt").read_text() == "old"
            _ = 1 / 0
        assert lists(tmp_path) == ["out", "out/a.txt"]

    @pytest.mark.parametrize("at_once", [True, False])
    def test_the_name_is_never_empty(self, tmp_path, monkeypatch, at_once):
        if not at_once:
            monkeypatch.setattr(exchanging, "_exchange_at_once", lambda *_: False)
        make(tmp_path / "out", "old")
        make(tmp_path / "out", overwrite=True)
        assert (tmp_path / "out" / "a.txt").read_text() == "new"
        assert lists(tmp_path) == ["out", "out/a.txt"]

    def test_where_it_takes_a_third_name_a_kill_in_between_is_mended(self, tmp_path):
        make(tmp_path / "out", "old")
        (tmp_path / "out").rename(exchanging.third_name(tmp_path / "out"))  # as after the first of three renames
        with pytest.raises(OutputExistsError, match="exists already"):
            make(tmp_path / "out")
        assert (tmp_path / "out" / "a.txt").read_text() == "old"
        assert lists(tmp_path) == ["out", "out/a.txt"]

    def test_and_comes_back_where_the_new_one_cannot_take_its_name(self, tmp_path, monkeypatch):
        monkeypatch.setattr(exchanging, "_exchange_at_once", lambda *_: False)
        make(tmp_path / "out", "old")
        third = exchanging.third_name(tmp_path / "out")
        third.write_text("mine")
        with pytest.raises(SpurgekitError, match=r"cannot be put in place .* what was made is in .*\.out\.partial"):
            make(tmp_path / "out", overwrite=True)
        assert (tmp_path / "out" / "a.txt").read_text() == "old"
        assert (tmp_path / ".out.partial" / "a.txt").read_text() == "new"
        assert third.read_text() == "mine"

    def test_what_was_replaced_when_a_kill_came_is_cleared_away(self, tmp_path):
        make(tmp_path / "out", "old")
        (tmp_path / "out").rename(tmp_path / ".out.partial")  # as after the exchange
        make(tmp_path / "out")
        assert lists(tmp_path) == ["out", "out/a.txt"]

    def test_a_folder_that_another_made_meanwhile_is_not_replaced(self, tmp_path):
        with (
            pytest.raises(OutputExistsError, match=r"was changed while this was made.*what was made is in .*\.out\.partial"),
            output_folder(tmp_path / "out", "tiles", parameters={}) as folder,
        ):
            (folder / "a.txt").write_text("new")
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "mine.txt").touch()
        assert (tmp_path / ".out.partial" / "a.txt").read_text() == "new"
        assert lists(tmp_path / "out") == ["mine.txt"]

    def test_an_empty_folder_is_free(self, tmp_path):
        (tmp_path / "out").mkdir()
        make(tmp_path / "out")
        assert (tmp_path / "out" / "a.txt").read_text() == "new"

    def test_a_file_is_not(self, tmp_path):
        (tmp_path / "out").touch()
        for overwrite in (False, True):
            with pytest.raises(OutputExistsError, match="is a file"):
                check_output(tmp_path / "out", "tiles", overwrite=overwrite)


class TestNobodysFileIsLost:
    """What spurgekit did not write, or what was changed since, is never replaced."""

    def refused(self, out, message, **options):
        before = {name: (out / name).read_bytes() for name in names(out) if (out / name).is_file()}
        with pytest.raises(OutputExistsError, match=message):
            make(out, overwrite=True, **options)
        assert {name: (out / name).read_bytes() for name in names(out) if (out / name).is_file()} == before
        assert [name for name in names(out.parent) if "partial" in name or "lock" in name] == []

    def test_folders_of_others(self, tmp_path):
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "thesis.docx").touch()
        self.refused(tmp_path / "home", f"was not made by spurgekit, as it holds no {CHECKSUMS}, so it is not replaced")

    def test_nor_with_a_record_of_ours_alone(self, tmp_path):
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / PROVENANCE).write_text('{"kind": "tiles"}')
        self.refused(tmp_path / "home", "was not made by spurgekit")

    @pytest.mark.parametrize("name", ["review.jsonl", "sub/notes.txt", ".hidden"])
    def test_files_that_came_into_the_folder(self, tmp_path, name):
        make(tmp_path / "out", "old")
        (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_text("a week's work")
        self.refused(tmp_path / "out", f"out is not replaced, since {name} was added to it; move these files")

    def test_the_first_are_named_and_the_others_counted(self, tmp_path):
        make(tmp_path / "out", "old")
        for k in range(5):
            (tmp_path / "out" / f"{k}.txt").touch()
        self.refused(tmp_path / "out", r"0\.txt, 1\.txt, 2\.txt and 2 more were added to it")

    def test_files_that_were_changed(self, tmp_path):
        make(tmp_path / "out", "old")
        (tmp_path / "out" / "a.txt").write_text("odd")
        self.refused(tmp_path / "out", r"a\.txt was changed; move")

    def test_a_link_in_place_of_a_file(self, tmp_path):
        make(tmp_path / "out", "old")
        (tmp_path / "elsewhere.txt").write_text("old")
        (tmp_path / "out" / "a.txt").unlink()
        (tmp_path / "out" / "a.txt").symlink_to(tmp_path / "elsewhere.txt")
        self.refused(tmp_path / "out", r"a\.txt was changed; move")

    def test_links_to_folders_are_not_followed(self, tmp_path):
        make(tmp_path / "out", "old")
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "1.jpg").touch()
        (tmp_path / "out" / "link").symlink_to(tmp_path / "photos")
        self.refused(tmp_path / "out", "link was added to it")

    def test_another_kind_of_output(self, tmp_path):
        make(tmp_path / "out", "old", kind="model")
        self.refused(tmp_path / "out", r"holds another kind of output \(model, not tiles\); pass another `out`")

    def test_one_that_holds_what_it_is_made_from(self, tmp_path):
        make(tmp_path / "out", "old")
        source = tmp_path / "out" / "a.txt"
        self.refused(
            tmp_path / "out", r"made from .*a\.txt in it; pass another `out`", inputs=[tmp_path / "elsewhere.tif", source]
        )

    def test_a_folder_inside_the_input_is_no_harm(self, tmp_path):
        make(tmp_path / "out", "old")
        make(tmp_path / "out" / "inner", inputs=[tmp_path / "out" / "a.txt"])
        assert (tmp_path / "out" / "a.txt").read_text() == "old"

    def test_the_working_directory(self, tmp_path, monkeypatch):
        make(tmp_path / "out", "old")
        monkeypatch.chdir(tmp_path / "out")
        self.refused(tmp_path / "out", "is the working directory, or holds it, and such a folder is never replaced")
        with pytest.raises(OutputExistsError, match="is the working directory"):
            make(".")

    @pytest.mark.skipif(not Path("/proc").is_mount(), reason="no disk is known to be mounted")
    def test_where_a_disk_is_mounted(self):
        with pytest.raises(OutputExistsError, match="/proc is where a disk is mounted"):
            check_output("/proc", "tiles", overwrite=True)

    def test_links_that_lead_in_a_circle(self, tmp_path):
        (tmp_path / "a").symlink_to(tmp_path / "b")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        with pytest.raises((SpurgekitError, OSError)):
            make(tmp_path / "a")
        assert names(tmp_path) == ["a", "b"]

    def test_a_folder_of_others_that_is_called_like_one_of_ours_in_the_making(self, tmp_path):
        (tmp_path / ".out.partial").mkdir()
        (tmp_path / ".out.partial" / "mine.txt").touch()
        for make_it in (make, lambda out: resume(out, steps=25)):
            with pytest.raises(
                OutputExistsError, match=r"\.out\.partial is in the way, and not what a run left behind; rename it"
            ):
                make_it(tmp_path / "out")
            assert names(tmp_path) == [".out.partial", ".out.partial/mine.txt"]

    def test_nor_is_one_cleared_away_into_which_a_file_came(self, tmp_path):
        make(tmp_path / "out", "old")
        (tmp_path / "out").rename(tmp_path / ".out.partial")
        (tmp_path / ".out.partial" / "mine.txt").touch()
        with pytest.raises(OutputExistsError, match="in the way"):
            make(tmp_path / "out")
        assert lists(tmp_path) == [".out.partial", ".out.partial/a.txt", ".out.partial/mine.txt"]

    def test_what_file_managers_leave_is_in_nobodys_way(self, tmp_path):
        make(tmp_path / "out", "old")
        (tmp_path / "out" / ".DS_Store").touch()
        make(tmp_path / "out", overwrite=True)
        assert lists(tmp_path) == ["out", "out/a.txt"]

    def test_files_that_are_gone_are_no_loss(self, tmp_path):
        make(tmp_path / "out", "old")
        (tmp_path / "out" / "a.txt").unlink()
        make(tmp_path / "out", overwrite=True)
        assert (tmp_path / "out" / "a.txt").read_text() == "new"


class TestKeeping:
    """Files of others stay in a folder that goes on being filled."""

    def test_files_of_others_stay(self, tmp_path):
        make(tmp_path / "out", "old")
        (tmp_path / "out" / "sub").mkdir()
        (tmp_path / "out" / "sub" / "notes.txt").write_text("mine")
        make(tmp_path / "out", overwrite=True, keep=True)
        assert lists(tmp_path) == ["out", "out/a.txt", "out/sub", "out/sub/notes.txt"]
        assert (tmp_path / "out" / "a.txt").read_text() == "new"
        assert (tmp_path / "out" / "sub" / "notes.txt").read_text() == "mine"

    def test_but_not_what_they_changed(self, tmp_path):
        make(tmp_path / "out", "old")
        (tmp_path / "out" / "a.txt").write_text("odd")
        with pytest.raises(OutputExistsError, match=r"a\.txt was changed; move"):
            make(tmp_path / "out", overwrite=True, keep=True)

    def test_nor_do_they_give_way_to_a_new_file_of_their_name(self, tmp_path):
        with output_folder(tmp_path / "out", "tiles", parameters={}):
            pass
        (tmp_path / "out" / "a.txt").write_text("mine")
        with pytest.raises(OutputExistsError, match=r"a\.txt is not spurgekit's and has the name of a file that is"):
            make(tmp_path / "out", overwrite=True, keep=True)
        assert (tmp_path / "out" / "a.txt").read_text() == "mine"


def resume(out, **settings):
    with resumable_folder(out, "embeddings", settings) as folder:
        assert not (folder / "a.txt").exists()
        (folder / "a.txt").write_text("1")


class TestResumableFolder:
    """A folder that an interrupted run leaves for the next one."""

    def begin(self, out, **settings):
        with pytest.raises(KeyboardInterrupt), resumable_folder(out, "embeddings", settings) as folder:
            (folder / "first.txt").write_text("1")
            raise KeyboardInterrupt
        assert not out.exists()

    def test_goes_on_where_it_was(self, tmp_path):
        self.begin(tmp_path / "out", steps=25)
        with resumable_folder(tmp_path / "out", "embeddings", {"steps": 25}) as folder:
            assert (folder / "first.txt").read_text() == "1"
        assert lists(tmp_path) == ["out", "out/first.txt"]

    def test_also_where_it_was_killed(self, tmp_path):
        kill("embeddings", tmp_path / "out")
        (tmp_path / ".out.partial" / ".a.0123abcd.partial.txt").touch()  # a file that was being written
        with resumable_folder(tmp_path / "out", "embeddings", {"steps": 25}) as folder:
            assert (folder / "half.txt").read_text() == "half"
        assert lists(tmp_path) == ["out", "out/half.txt"]

    def test_not_with_other_settings(self, tmp_path):
        self.begin(tmp_path / "out", steps=25, seed=0)
        with pytest.raises(OutputExistsError, match=r"begun with other settings \(steps\); pass `overwrite`"):  # noqa: SIM117
            with resumable_folder(tmp_path / "out", "embeddings", {"steps": 50, "seed": 0}):
                pass

    def test_begins_anew_when_told_to(self, tmp_path):
        self.begin(tmp_path / "out", steps=25)
        with resumable_folder(tmp_path / "out", "embeddings", {"steps": 50}, overwrite=True) as folder:
            assert not (folder / "first.txt").exists()

    def test_does_not_touch_a_folder_that_is_done(self, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").touch()
        with pytest.raises(OutputExistsError, match="exists already"), resumable_folder(tmp_path / "out", "embeddings", {}):
            pass


class TestSettings:
    """What a folder was begun with stands in it."""

    def test_a_folder_that_nothing_was_noted_in_is_not_begun(self, tmp_path):
        assert not check_begun(tmp_path / "nowhere" / "settings.json", {"steps": 25}, tmp_path / "out")
        assert not check_begun(tmp_path / "settings.json", {"steps": 25}, tmp_path / "out")

    def test_the_same_settings_in_another_order(self, tmp_path):
        note_settings(tmp_path / "settings.json", {"steps": 25, "out": Path("a")})
        assert check_begun(tmp_path / "settings.json", {"out": Path("a"), "steps": 25}, tmp_path)

    @pytest.mark.parametrize(
        ("now", "what"),
        [({"steps": 50, "seed": 0}, "steps"), ({"steps": 50, "seed": 1}, "seed, steps"), ({"steps": 25}, "seed")],
    )
    def test_others_are_named(self, tmp_path, now, what):
        note_settings(tmp_path / "settings.json", {"steps": 25, "seed": 0})
        with pytest.raises(OutputExistsError) as caught:
            check_begun(tmp_path / "settings.json", now, Path("out"))
        said = f"out was begun with other settings ({what}); pass `overwrite` to start again, or another `out`"
        assert str(caught.value) == said

    def test_damaged_ones(self, tmp_path):
        (tmp_path / "settings.json").write_text('{"steps": 2')
        with pytest.raises(OutputExistsError, match="its settings are damaged"):
            check_begun(tmp_path / "settings.json", {"steps": 25}, tmp_path)
