"""What holds the parts of ``make gpu-check`` to their time, and says what came of them."""

import json
import os
import sys
import tarfile
import time

import pytest

from tests.benchmarks import gpu_check
from tests.benchmarks.bounded import LOG, RECORD, Goal, Part, run_part

PLENTY_S = 100.0


def script(text, *arguments):
    """Return a command that runs a script, given the file to write figures to."""
    return lambda file, _: ("-c", text, file, *arguments)


def run(part, out, record=None, *, left_s=PLENTY_S):
    record = {"parts": []} if record is None else record
    run_part(part, record, out, left_s=left_s, environment=os.environ)
    assert json.loads((out / RECORD).read_text()) == record
    return record["parts"][-1]


WRITE = "import json, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(json.dumps({'rate': 5}))\n"
HANG = """
import subprocess, time
subprocess.Popen([sys.executable, "-c", f"import pathlib, time; time.sleep(4); pathlib.Path({sys.argv[2]!r}).touch()"])
print("hanging", flush=True)
time.sleep(60)
"""


def test_a_part_over_its_time_is_killed_with_all_that_it_started_and_what_it_measured_is_kept(tmp_path):
    late = tmp_path / "late"
    start = time.monotonic()
    row = run(Part("slow", 2, script(WRITE + HANG, late), goals=lambda figures: [Goal("rate", 4, figures["rate"])]), tmp_path)
    assert time.monotonic() - start < 10
    assert (row["status"], row["reason"], row["figures"]) == ("cut off", "not done after 2 s", {"rate": 5})
    assert row["said"] == ["hanging"]
    assert row["goals"] == [{"what": "rate", "least": 4, "found": 5, "reached": True}]
    time.sleep(4)
    assert not late.exists()


def test_the_record_is_there_after_each_part_and_says_which_is_running(tmp_path):
    record = {"parts": []}
    run(Part("first", 30, script(WRITE)), tmp_path, record)
    copy = script("import shutil, sys; shutil.copy(sys.argv[2], sys.argv[1])", tmp_path / RECORD)
    row = run(Part("second", 30, copy), tmp_path, record)
    first, second = row["figures"]["parts"]
    assert (first["name"], first["status"], first["figures"]) == ("first", "done", {"rate": 5})
    assert (second["name"], second["status"]) == ("second", "running")


def test_a_part_that_fails_says_so_and_the_next_one_runs(tmp_path):
    record = {"parts": []}
    failed = run(Part("bad", 30, script("raise SystemExit('no such card')")), tmp_path, record)
    assert (failed["status"], failed["reason"], failed["said"]) == ("failed", "exit status 1", ["no such card"])
    assert failed["figures"] is None
    assert run(Part("good", 30, script("print('well')")), tmp_path, record)["status"] == "done"
    assert (tmp_path / LOG).read_text().split("\n") == ["no such card", "well", ""]


def test_what_is_not_run_says_why(tmp_path):
    part = Part("p", 30, script("raise SystemExit(1)"))
    assert run(part, tmp_path, left_s=3)["reason"] == "there was no time left for it"
    skipped = run(Part("p", 30, part.command, skip="there is no such command"), tmp_path)
    assert (skipped["status"], skipped["reason"]) == ("skipped", "there is no such command")


def test_a_part_gets_no_more_than_what_is_left_and_knows_it(tmp_path):
    part = Part("p", 60, lambda file, seconds: ("-c", f"open({str(file)!r}, 'w').write('{seconds}')"))
    assert run(part, tmp_path, left_s=20.04)["figures"] == 20


def test_files_that_are_kept_are_kept_also_of_a_part_that_is_cut_off(tmp_path):
    text = """
import pathlib, sys, time
made = pathlib.Path(sys.argv[1]).with_name("made")
made.mkdir()
(made / "sheet.png").write_bytes(b"a")
time.sleep(60)
"""
    run(Part("train", 2, script(text), keeps=("made/sheet.png", "made/card.md")), tmp_path)
    assert (tmp_path / "train-sheet.png").read_bytes() == b"a"
    assert sorted(path.name for path in tmp_path.iterdir()) == [RECORD, LOG, "train-sheet.png"]


def figures_of_edits(*rows):
    return {"generation": [{"way": "one image a call", "images_s": 2.0}, *rows]}


def test_goals_are_of_the_fastest_batch():
    rows = [
        {"images_s": 9.0, "times_reference": 4.5, "share_of_unet": 0.9},
        {"images_s": 10.0, "times_reference": 5.0, "times_mean_reference": 3.9, "share_of_unet": 0.8},
    ]
    times, share = gpu_check.edit_goals(figures_of_edits(*rows))
    assert (times.found, times.is_reached) == (3.9, False)
    assert (share.found, share.is_reached) == (0.8, True)


@pytest.mark.parametrize("goals", [gpu_check.edit_goals, gpu_check.inversion_goals, gpu_check.map_goals])
@pytest.mark.parametrize("figures", [None, {}, {"generation": [], "inversion": [{"way": "its defaults"}], "map": []}])
def test_what_was_not_measured_is_no_goal_reached(goals, figures):
    found = goals(figures)
    assert len(found) == 2
    assert not any(goal.is_reached for goal in found)
    assert all("not measured" in str(goal) for goal in found)


def test_tests_that_were_skipped_did_not_pass(tmp_path):
    (tmp_path / "report.xml").write_text('<testsuites><testsuite tests="10" failures="1" errors="1" skipped="3"/></testsuites>')
    assert gpu_check.read_junit(tmp_path / "report.xml") == {"tests": 10, "failed": 2, "skipped": 3, "share_passed": 0.5}


def test_the_tests_that_need_a_gpu_are_found():
    (tests,) = (part for part in gpu_check.parts(False, None) if part.name == "tests")
    assert {"test_gpu.py", "test_seeds.py"} <= {str(word).rpartition("/")[2] for word in tests.command("f", 60)}


def test_all_parts_together_take_no_more_than_eight_minutes_if_the_last_takes_two():
    *parts, last = gpu_check.parts(False, None)
    assert sum(part.limit_s for part in parts) <= 6 * 60
    assert last.name == gpu_check.PRETRAIN


def test_a_backbone_is_trained_where_the_command_and_its_arguments_are_there(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_check, "ROOT", tmp_path)
    assert gpu_check.pretraining("site.tif").skip == "spurgekit has no command pretrain-backbone"
    command = tmp_path / "spurgekit" / "cli" / "pretrain_backbone.py"
    command.parent.mkdir(parents=True)
    command.touch()
    assert gpu_check.pretraining(None).skip == "pass the arguments of pretrain-backbone as --pretrain"
    part = gpu_check.pretraining("'my site.tif' --vae taesd")
    assert part.skip is None
    file = tmp_path / "figures"
    words = ["my site.tif", "--vae", "taesd", "--minutes", "3.33", "--out", str(tmp_path / "backbone")]
    assert list(map(str, part.command(file, 300)))[1:] == ["spurgekit", "pretrain-backbone", *words]
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone" / "backbone.json").write_text('{"kid": 90}')
    assert part.read(file) == {"kid": 90}


class TestMain:
    @pytest.fixture
    def parts(self, monkeypatch):
        """Return a function that has other parts run; the machine is not looked at anew."""

        def put(*parts):
            monkeypatch.setattr(gpu_check, "parts", lambda *_: list(parts))
            found = {"card": None, "versions": {}}
            text = f"import sys; open(sys.argv[1], 'w').write({json.dumps(found)!r})"
            monkeypatch.setattr(gpu_check, "MACHINE", Part("machine", 60, script(text)))

        return put

    def test_all_well(self, parts, tmp_path, capsys):
        parts(Part("one", 30, script(WRITE), goals=lambda _: [Goal("never", 1, None)]), Part("two", 30, script(""), skip="why"))
        assert gpu_check.main(["--out", str(tmp_path), "--commit", "abc"]) == 0
        record = json.loads((tmp_path / RECORD).read_text())
        assert (record["commit"], record["dry_run"], record["card"]) == ("abc", True, None)
        assert [row["status"] for row in record["parts"]] == ["done", "done", "skipped"]
        assert "goals" not in record["parts"][1]  # of tiny sizes ratios mean nothing
        said = capsys.readouterr().out
        assert "no GPU that torch can use: a dry run on the CPU" in said
        assert "skipped   two: why" in said

    def test_a_failure_is_the_exit_status(self, parts, tmp_path):
        parts(Part("one", 30, script("raise SystemExit(3)")))
        assert gpu_check.main(["--out", str(tmp_path)]) == 1

    def test_packages_of_an_archive_are_there(self, parts, tmp_path):
        (tmp_path / "only_here.py").write_text("RATE = 7")
        with tarfile.open(tmp_path / "p.tar.xz", "w:xz") as archive:
            archive.add(tmp_path / "only_here.py", "only_here.py")
        parts(Part("one", 30, script("import only_here, sys; open(sys.argv[1], 'w').write(str(only_here.RATE))")))
        for given in (tmp_path / "p.tar.xz", tmp_path):
            assert gpu_check.main(["--out", str(tmp_path / "out"), "--packages", str(given)]) == 0
            assert json.loads((tmp_path / "out" / RECORD).read_text())["parts"][1]["figures"] == 7


def test_a_missed_goal_is_a_failure(tmp_path, capsys):
    goal = {"what": "share", "least": 0.85, "found": 0.8, "reached": False}
    row = {"name": "map", "status": "done", "seconds": 3.0, "goals": [goal]}
    record = {"card": "NVIDIA", "date": "today", "commit": None, "parts": [row]}
    assert not gpu_check.summarise(record, tmp_path)
    assert capsys.readouterr().out.endswith("MISSED  share: 0.80, goal 0.85\n")
    goal.update(found=0.85, reached=True)
    assert gpu_check.summarise(record, tmp_path)


def test_python_is_this_one(tmp_path):
    text = "import json, sys; json.dump(sys.executable, open(sys.argv[1], 'w'))"
    assert run(Part("p", 30, script(text)), tmp_path)["figures"] == sys.executable
