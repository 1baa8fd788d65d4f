"""Whichever workers do it, results are the same, and what is wrong with workers is one line ahead of any work."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from operator import neg
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from spurgekit.errors import InputError, SpurgekitError
from spurgekit.executors import open_workers
from spurgekit.executors.cluster_file import ClusterFile
from spurgekit.executors.kept import MOST_OPEN, made_by_process, opened_by_thread
from spurgekit.executors.packages import PACKAGES, versions

LOCAL = """
cluster = "distributed.LocalCluster"

[arguments]
n_workers = 1
threads_per_worker = 2
dashboard_address = ":0"
"""

HAVE_THEY = """
import cv2
from spurgekit.executors import open_workers
with open_workers("processes") as workers:
    print(*workers.stream(eval, [f"{name!r} in __import__('sys').modules" for name in ("cv2", "torch")]))
"""
"""A program that has imported OpenCV, and not torch, and prints whether its workers have."""


@pytest.fixture
def described(tmp_path):
    """Return what writes the file of a cluster."""

    def write(text: str) -> str:
        file = tmp_path / "cluster.toml"
        file.write_text(text, encoding="utf-8")
        return str(file)

    return write


def refusal(executor: str) -> str:
    """Return what is said of workers that cannot be had."""
    with pytest.raises(InputError) as caught, open_workers(executor):
        pytest.fail("there are workers")
    return str(caught.value)


def die_once(marker: str) -> int:
    """End the process, but for the first that comes."""
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return os.getpid()
    os._exit(1)


def process_that_takes(_: int) -> int:
    """Return the process that works this off, after a while."""
    time.sleep(0.1)
    return os.getpid()


class TestThisMachine:
    @pytest.mark.parametrize("executor", ["threads", "processes"])
    def test_results_come_in_the_order_of_the_units(self, executor):
        with open_workers(executor) as workers:
            assert list(workers.stream(neg, range(5))) == [0, -1, -2, -3, -4]
            assert workers.count() >= 1

    def test_processes_are_others(self):
        with open_workers("processes") as workers:
            assert not workers.in_process
            assert list(workers.stream(os.getenv, ["OMP_NUM_THREADS"])) == ["1"]
            assert os.getpid() not in list(workers.stream(process_of, range(3)))

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process imports by itself")
    def test_what_is_slow_to_import_they_have_from_the_start(self):
        run = subprocess.run([sys.executable, "-c", HAVE_THEY], capture_output=True, text=True, check=True)
        assert run.stdout.split() == ["True", "False"]

    def test_where_temporary_files_lie_in_a_folder_of_a_long_name(self):
        """Too long for a socket in it."""
        with TemporaryDirectory(prefix="x" * 100) as folder:
            environment = {**os.environ, "TMPDIR": folder}
            run = subprocess.run([sys.executable, "-c", HAVE_THEY], capture_output=True, text=True, check=True, env=environment)
        assert run.stdout.split() == ["False", "False"]

    def test_they_can_use_a_gpu(self):
        """What was imported ahead of a fork has not looked for one."""
        import timm  # noqa: F401 - is imported by them, too

        with open_workers("processes") as workers:
            assert list(workers.stream(eval, ["__import__('torch').cuda._is_in_bad_fork()"])) == [False]

    def test_open_workers_are_passed_on_and_stay_open(self):
        with open_workers("threads") as workers:
            with open_workers(workers) as same:
                assert same is workers
            assert list(workers.stream(neg, [1])) == [-1]

    def test_a_process_that_is_killed_ends_the_run_in_one_line(self):
        said = r"^a worker process was ended from outside, .*run it again"
        with pytest.raises(SpurgekitError, match=said), open_workers("processes") as workers:
            list(workers.stream(os._exit, [1]))

    @pytest.mark.parametrize("executor", ["thread", "dask://", "cluster.yaml", ""])
    def test_what_is_no_executor_is_refused(self, executor):
        assert refusal(executor).endswith("is not known; pass threads, processes, dask://HOST:PORT or a FILE.toml")


def process_of(_: int) -> int:
    return os.getpid()


class TestClusterFile:
    def test_a_cluster_is_begun_and_ended(self, described):
        pytest.importorskip("distributed")
        with open_workers(described(LOCAL)) as workers:
            assert workers.count() == 2
            assert list(workers.stream(neg, range(5))) == [0, -1, -2, -3, -4]
            (pid,) = set(workers.stream(process_of, range(3)))
            assert pid != os.getpid()
        wait_for(lambda: not is_running(pid))

    def test_those_of_the_documentation_can_be_read(self, described):
        page = (Path(__file__).parents[2] / "docs" / "how-to" / "clusters.md").read_text(encoding="utf-8")
        local, slurm = (
            ClusterFile.read(Path(described(text))) for text in re.findall(r"^```toml title=.*?\n(.*?)^```$", page, re.M | re.S)
        )
        assert (local.cluster, local.arguments["n_workers"]) == ("distributed.LocalCluster", 4)
        assert (slurm.cluster, slurm.scale, slurm.wait_s) == ("dask_jobqueue.SLURMCluster", {"jobs": 8}, 7200)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[", "is not valid TOML"),
            ("n_workers = 2", "n_workers: there is no such entry"),
            ("[arguments]", "cluster: name the class of a Dask cluster, such as distributed.LocalCluster"),
            ("cluster = 'LocalCluster'", "cluster: name the class of a Dask cluster"),
            ("cluster = 'no_such_package.Cluster'", "No module named 'no_such_package'; pip install no-such-package"),
            ("cluster = 'os.system'", "cluster: os.system is no class of a Dask cluster"),
            ("cluster = 'distributed.Nothing'", "distributed.Nothing is no class of a Dask cluster"),
            ("cluster = 'distributed.LocalCluster'\nscale = 2", "scale: this is a table, [scale], not 2"),
            ("cluster = 'distributed.LocalCluster'\nwait_s = true", "wait_s: True is no number of seconds"),
            ("cluster = 'distributed.LocalCluster'\n[scale]\nn = 1\n[adapt]\nminimum = 1", "drop one of them"),
            ("cluster = 'distributed.LocalCluster'\n[arguments]\nhost = 5", "distributed.LocalCluster does not begin: "),
            (LOCAL.replace("n_workers = 1", "n_workers = 0") + "[scale]\nm = 1", "scale: "),
        ],
    )
    def test_what_a_file_cannot_say(self, described, text, said):
        pytest.importorskip("distributed")
        assert said in (line := refusal(described(text))), line
        assert "\n" not in line

    def test_a_cluster_without_workers_is_not_waited_for_forever(self, described):
        pytest.importorskip("distributed")
        text = "wait_s = 0.5\n" + LOCAL.replace("n_workers = 1", "n_workers = 0")
        assert refusal(described(text)) == (
            "distributed.LocalCluster has no workers after 0.5 s; look at what the cluster says of its jobs, or have "
            "cluster.toml wait longer (wait_s)"
        )

    def test_jobs_of_slurm_are_workers(self, described, tmp_path, monkeypatch):
        """Its own sbatch is not at hand: this one begins a job here at once, of a copy of its script, as Slurm does."""
        pytest.importorskip("dask_jobqueue")
        script = 'cp "$1" "$0.job"; bash "$0.job" >/dev/null 2>&1 & echo $! >> "$(dirname "$0")/jobs"; echo $!'
        tool(tmp_path / "bin" / "sbatch", script)
        tool(tmp_path / "bin" / "scancel", 'kill "$@"')
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
        text = f"""
            cluster = "dask_jobqueue.SLURMCluster"
            wait_s = 60
            [arguments]
            cores = 1
            memory = "1GB"
            walltime = "00:10:00"
            log_directory = {str(tmp_path)!r}
            local_directory = {str(tmp_path)!r}
            interface = "lo"
            job_extra_directives = ["--exclusive"]
            [arguments.scheduler_options]
            dashboard_address = ":0"
            [scale]
            jobs = 1
        """
        with open_workers(described(text)) as workers:
            assert list(workers.stream(neg, range(3))) == [0, -1, -2]
        (job,) = map(int, (tmp_path / "bin" / "jobs").read_text().split())
        wait_for(lambda: not is_running(job))


class TestScheduler:
    def test_one_that_is_not_there(self, monkeypatch):
        pytest.importorskip("distributed")
        monkeypatch.setattr("spurgekit.executors.dask_cluster.CONNECT_S", 1.0)
        assert refusal("dask://localhost:1") == (
            "no Dask scheduler answers at tcp://localhost:1 within 1 s; start one with 'dask scheduler', or pass another "
            "`executor`"
        )

    def test_one_that_does_not_answer(self, monkeypatch):
        pytest.importorskip("distributed")
        monkeypatch.setattr("spurgekit.executors.dask_cluster.CONNECT_S", 1.0)
        with socket.create_server(("127.0.0.1", 0)) as server:
            assert refusal(f"dask://127.0.0.1:{server.getsockname()[1]}").startswith("no Dask scheduler answers at tcp://127.0")

    @pytest.mark.parametrize("address", ["dask://localhost:", "dask://:8786", "dask://localhost:x", "dask://localhost:99999"])
    def test_what_is_no_address(self, address):
        pytest.importorskip("distributed")
        assert refusal(address) == f"`executor={address}` is no address of a scheduler; pass one such as dask://localhost:8786"

    def test_no_workers(self, scheduler, monkeypatch):
        monkeypatch.setattr("spurgekit.executors.dask_cluster.WORKERS_S", 0.5)
        address = scheduler.replace("dask", "tcp")
        assert refusal(scheduler) == f"{address} has no workers after 0.5 s; start some with 'dask worker {address}'"

    def test_a_worker_without_spurgekit(self, scheduler, start_worker):
        start_worker("import sys; sys.modules['spurgekit'] = None")
        said = refusal(scheduler)
        assert said.startswith("the worker tcp://127.0.0.1:")
        assert said.endswith(f"install spurgekit {versions()['spurgekit']} there, and all that it needs")

    def test_a_worker_with_another_version(self, scheduler, start_worker):
        start_worker("import spurgekit; spurgekit.__version__ = '9.9'")
        assert f"has spurgekit 9.9, and this machine has {versions()['spurgekit']}; " in refusal(scheduler)

    @pytest.mark.parametrize(
        ("first", "said"),
        [
            (
                "import spurgekit; spurgekit.__version__ = '9.9'",
                r"^a worker that joined later has spurgekit 9\.9, .* run this again$",
            ),
            ("import sys; sys.modules['spurgekit'] = None", r"^a worker that joined .* later lacks what this machine has: "),
        ],
    )
    def test_a_worker_that_joins_later_is_asked_too(self, scheduler, start_worker, first, said):
        good = start_worker()
        with pytest.raises(InputError, match=said), open_workers(scheduler) as workers:
            start_worker(first)
            wait_for(lambda: workers.count() == 2)
            good.kill()
            wait_for(lambda: workers.count() == 1)
            list(workers.stream(neg, range(5)))

    def test_a_worker_that_dies_costs_time_only(self, scheduler, start_worker, tmp_path):
        start_worker()
        with open_workers(scheduler) as workers:
            start_worker()
            wait_for(lambda: workers.count() == 2)
            first, last = workers.stream(die_once, [str(tmp_path / "died")] * 2)
            assert workers.count() == 1
            assert first == last

    def test_units_that_are_to_be_done_in_turn_go_to_one_worker_and_the_other(self, scheduler, start_worker):
        start_worker()
        start_worker()
        with open_workers(scheduler) as workers:
            wait_for(lambda: workers.count() == 2)
            wait_for(lambda: len(set(workers.stream(process_that_takes, range(4)))) == 2)  # both have imported what it takes
            pids = list(workers.stream(process_that_takes, range(24), in_turn=True))
        assert len(set(pids)) == 2
        kept = sum(pid == own for pid, own in zip(pids, pids[:2] * 12, strict=True))
        assert kept >= 20, "but for what one that was idle took"

    def test_a_piece_that_ends_all_workers_is_given_up(self, cluster, scheduler, start_worker):
        start_worker()
        cluster.scheduler.allowed_failures = 0
        said = r"^1 worker of .* ended while working on the same piece"
        with pytest.raises(SpurgekitError, match=said), open_workers(scheduler) as workers:
            list(workers.stream(os._exit, [1]))

    def test_a_scheduler_that_is_lost(self, other_scheduler):
        address, process = other_scheduler
        said = r"^the scheduler of tcp://.* was lost; start it and run this again$"
        with pytest.raises(SpurgekitError, match=said), open_workers(address) as workers:
            for _ in workers.stream(time.sleep, [0.1] * 1000):
                process.kill()

    def test_workers_that_do_not_come_back_are_not_waited_for_forever(self, scheduler, start_worker, monkeypatch):
        for name in ("WORKERS_S", "PATIENCE_S", "LOOK_S"):
            monkeypatch.setattr(f"spurgekit.executors.dask_cluster.{name}", {"WORKERS_S": 60.0}.get(name, 0.5))
        start_worker()
        said = r"has had no workers for 0\.5 s; start some, and run this again$"
        with pytest.raises(SpurgekitError, match=said), open_workers(scheduler) as workers:
            list(replace(workers, patience_s=0.5).stream(os._exit, [1]))

    def test_what_workers_do_not_see(self, scheduler, start_worker, tmp_path):
        start_worker(blind_to(tmp_path))
        said = r"does not see .*all machines need the same files under the same names"
        with open_workers(scheduler) as workers, pytest.raises(InputError, match=said):
            workers.check_sees(tmp_path)

    def test_what_is_under_way_when_a_run_is_interrupted_is_let_go(self, scheduler, start_worker):
        start_worker()
        with pytest.raises(KeyboardInterrupt), open_workers(scheduler) as workers:
            for _ in workers.stream(time.sleep, [0.1] * 100):
                raise KeyboardInterrupt
        with open_workers(scheduler) as workers:
            start = time.monotonic()
            assert list(workers.stream(neg, [1])) == [-1]
            assert time.monotonic() - start < 5  # not behind what was cancelled

    def test_without_the_package(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        assert refusal("dask://localhost").startswith(
            '`executor=dask://...` needs packages that are not installed; pip install "distributed'
        )


class TestKept:
    def test_files_stay_open_in_their_thread_but_for_the_oldest(self):
        closed = []

        class File:
            def __init__(self, name):
                self.name = name

            def close(self):
                closed.append(self.name)

        first = opened_by_thread("a", lambda: File("a"))
        assert opened_by_thread("a", lambda: File("a")) is first
        for number in range(MOST_OPEN):
            opened_by_thread(number, lambda number=number: File(number))
        assert closed == ["a"]
        elsewhere = []
        thread = threading.Thread(target=lambda: elsewhere.append(opened_by_thread(0, lambda: File(0))))
        thread.start()
        thread.join()
        assert elsewhere[0] is not opened_by_thread(0, lambda: File(0))

    def test_a_process_keeps_the_last_of_each_kind(self):
        first = made_by_process("model", 1, object)
        assert made_by_process("other", 1, object) is not first
        assert made_by_process("model", 1, object) is first
        assert made_by_process("model", 2, object) is not first
        assert made_by_process("model", 1, object) is not first


def test_versions_of_what_is_installed():
    assert set(versions()) == {"spurgekit", "Python", *PACKAGES}
    assert versions()["numpy"] is not None


def blind_to(folder: Path) -> str:
    """Return what a worker does first, so that it does not see a folder."""
    first = "import genericpath; see = genericpath.exists"  # by that name os.path.exists travels
    return f"{first}; genericpath.exists = lambda path: {str(folder)!r} not in str(path) and see(path)"


def tool(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not asked for its end does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
