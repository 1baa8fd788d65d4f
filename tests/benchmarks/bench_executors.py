"""What a second worker is worth: ``python -m tests.benchmarks.bench_executors [--size 20000] [--runs 3]``.

Tiles and a map of an orthomosaic, an evaluation of two arms at three numbers of shots, and edits of its tiles by a small
diffusion model, are made by threads of this process, by one single-threaded worker of a Dask cluster on this machine, by two,
and once by two of which one is killed when a quarter of the work is done. How much a second core is worth on the machine is
what ``network`` says, a network alone that is shown images that are ready, in pieces that take a second or so.

They take turns, after a run of each that does not count, since a machine's own rate drifts by a third. Each has a process of
its own, with its scheduler and its workers, which is stopped while others have their turn: a cluster that waits takes a tenth
of a core. A run that loses a worker takes at least ``1/4 * 1/2 + 3/4`` of one worker's time. That all make the same bytes is
checked. It needs two cores that nothing else uses; the seconds of a core that the command and its workers take, in a second
table, are the same on any machine: what two take more than one is work that is done twice.

On two cores the command and Dask's scheduler take from what two workers have, and not from what one has. With ``--share 0.6``
workers are let run for six tenths of the time, by turns, so that the command finds a core free in either case, as where workers
are other machines' cores. One that is started for one that was killed is not held back, nor are threads, which take no turn.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from torch import nn

from spurgekit.executors import Workers, open_workers
from spurgekit.executors.dask_cluster import DaskWorkers
from spurgekit.parallel import cores
from spurgekit.precision import autocast, pick_precision, put_on
from spurgekit.progress import Progress, silent

WORKS = ("network", "tile", "map", "evaluate", "augment")
KINDS = ("threads", "1 worker", "2 workers")
ARMS, SHOTS, TRIALS = ("probe", "probe+randaugment"), (1, 4, 16), 10
BACKBONE, IMAGE_PX = "tf_efficientnet_lite0", 224
"""The one whose weights a package brings, here of random ones, which take as long, and the size that tiles are shown at. Of one
that takes longer less of the work is the command's."""

PIECES, BATCHES = 20, 8
"""Pieces of work, and batches of 16 images in each, of the network alone. Dask itself takes a hundredth of a second a piece."""

PERIOD_S = 0.05
"""In which processes that are slowed down run once and stand still once."""

MAP_TILE_PX = 100
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Of workers and of this process, lest one worker have more than a core."""


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=20_000, help="side of the orthomosaic in pixels")
    parser.add_argument("--map-size", type=int, default=8_000, help="of the one that is mapped")
    parser.add_argument("--tiles", type=int, default=64, help="tiles of each class of the evaluation's dataset")
    parser.add_argument("--backbone", default=BACKBONE, help="of timm; default: %(default)s")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the time that workers are let run; default: %(default)s")
    parser.add_argument("--only", nargs="+", choices=WORKS, default=WORKS)
    options = parser.parse_args()
    os.environ.update(ONE_THREAD)  # Dask's workers inherit it
    torch.set_num_threads(1)
    taken: dict[str, str] = {}
    print(f"{cores()} cores; least of {options.runs} runs, in seconds (times as fast: median of runs one after the other)\n")
    print("| | threads | 1 worker | 2 workers | times as fast | 2, one killed |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for title in options.only:
        with tempfile.TemporaryDirectory() as name:
            work = Work(title, Path(name), options.backbone)
            work.make(options.size, options.map_size, options.tiles)
            seconds, taken[title] = rows(work, options.runs, options.share)
        print(f"| `{title}` | {seconds} |", flush=True)
    print("\n| seconds of a core | the command, 1 worker | its worker | the command, 2 workers | its workers |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for title, cells in taken.items():
        print(f"| `{title}` | {cells} |")


@dataclass(frozen=True)
class Work:
    """What is done, by whomever, of what lies in a folder.

    Attributes
    ----------
    title : str
        One of ``WORKS``.
    folder : pathlib.Path
    backbone : str
    """

    title: str
    folder: Path
    backbone: str

    def make(self, size: int, map_size: int, tiles: int) -> None:
        """Make what it is done of, which takes minutes."""
        from tests.benchmarks.sites import make_orthomosaic
        from tests.diffusion.tiny import make_tiny

        if self.title in ("tile", "map"):
            make_orthomosaic(self.folder / "site.tif", size if self.title == "tile" else map_size)
        if self.title == "map":
            make_model(self.folder, self.backbone)
        if self.title in ("evaluate", "augment"):
            make_dataset(self.folder, tiles)
        if self.title == "augment":
            make_tiny(self.folder / "diffusion")

    def do(self, executor: str | Workers, out: Path, progress: Progress) -> None:
        """Do it."""
        # Not above: Dask's workers import this module before they answer.
        from spurgekit.augment import AugmentOptions, augment_dataset
        from spurgekit.evaluate import EvaluateOptions, evaluate_arms
        from spurgekit.maps import load_map_model, map_site
        from spurgekit.tiles import TileOptions, tile_images

        site, dataset = self.folder / "site.tif", self.folder / "dataset"
        if self.title == "tile":
            tile_images(site, out, TileOptions(layout="grid"), executor=executor, progress=progress)
        elif self.title == "map":
            model = load_map_model(self.folder / "model", "cpu", views=1)
            map_site(site, model, out, executor=executor, progress=progress)
        elif self.title == "evaluate":
            comparing = EvaluateOptions(
                arms=ARMS, shots=SHOTS, trials=TRIALS, backbone=self.backbone, pretrained=False, image_size_px=IMAGE_PX
            )
            evaluate_arms(dataset, out, comparing, executor=executor, progress=progress)
        elif self.title == "augment":
            editing = AugmentOptions(method="real-guidance", backbone=str(self.folder / "diffusion"), images=10)
            augment_dataset(dataset, out, editing, executor=executor, progress=progress)
        else:
            with open_workers(executor) as workers, progress("evaluating", PIECES) as advance:
                for _ in workers.stream(Passes(self.backbone), range(PIECES)):
                    advance(1)


@dataclass(frozen=True)
class Passes:
    """Shows a network of random weights some batches, in whatever process."""

    backbone: str

    def __call__(self, number: int) -> int:
        """Return the number."""
        network, images = network_alone(self.backbone)
        with torch.inference_mode(), autocast(images.device, pick_precision(images.device)):
            for _ in range(BATCHES):
                network(images)
        return number


@cache
def network_alone(backbone: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a network as it is looked through, and images."""
    from spurgekit.classify.folding import folded
    from spurgekit.classify.timm_backbone import make_backbone

    torch.set_num_threads(1)
    images = torch.rand((16, 3, IMAGE_PX, IMAGE_PX)).contiguous(memory_format=torch.channels_last)
    return folded(put_on(make_backbone(backbone, image_size_px=IMAGE_PX), images.device), images[:1]), images


def rows(work: Work, runs: int, share: float) -> tuple[str, str]:
    """Return cells of the two tables."""
    with ExitStack() as stack:
        kinds = {
            kind: stack.enter_context(turns(work, number, share)) for number, kind in enumerate(KINDS) if number or share == 1
        }
        taken: dict[str, list[Run]] = {kind: [] for kind in kinds}
        for turn in range(1 + runs):
            for kind, run in kinds.items():
                done = run(False)
                if turn:  # the first does not count: workers load what they need
                    taken[kind].append(done)
        killed = kinds["2 workers"](True)
    if len(made := {run.made for run in (*chain.from_iterable(taken.values()), killed)}) > 1:
        raise SystemExit(f"{work.title}: outputs differ: {made}")
    walls = {kind: [run.wall for run in of_kind] for kind, of_kind in taken.items()}
    faster = np.median(np.divide(walls["1 worker"], walls["2 workers"]))
    seconds = [f"{min(walls[kind]):.1f}" if kind in walls else "–" for kind in KINDS] + [f"{faster:.2f}", f"{killed.wall:.1f}"]
    of_a_core = [f"{min(getattr(run, who) for run in taken[kind]):.1f}" for kind in KINDS[1:] for who in ("command", "workers")]
    return " | ".join(seconds), " | ".join(of_a_core)


@dataclass(frozen=True)
class Run:
    """How long a run took, of a clock, of a core for the command and of one for its workers; and what it made."""

    wall: float
    command: float
    workers: float
    made: str


@contextmanager
def turns(work: Work, number: int, share: float) -> Iterator[Callable[[bool], Run]]:
    """Yield what does a work once by so many workers, or by threads where there are none, and kills one of them if told to.

    They stand still else, with all that they have begun.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, work, number, share))
    process.start()
    assert process.pid is not None
    group = ours.recv()

    def run(kill: bool) -> Run:
        os.killpg(group, signal.SIGCONT)
        ours.send(kill)
        done: Run = ours.recv()
        os.killpg(group, signal.SIGSTOP)
        return done

    try:
        os.killpg(group, signal.SIGSTOP)
        yield run
    finally:
        os.killpg(group, signal.SIGCONT)
        ours.send(None)
        process.join()


def serve(pipe: Connection, work: Work, number: int, share: float) -> None:
    """Do a work whenever asked to, in a group of processes of its own."""
    os.setpgrp()
    torch.set_num_threads(1)
    with ExitStack() as stack:
        workers = None
        if number:
            opened = stack.enter_context(open_workers(stack.enter_context(dask(work.folder, number))))
            assert isinstance(opened, DaskWorkers)
            workers = opened
        pipe.send(os.getpgrp())
        while (kill := pipe.recv()) is not None:
            progress = Killing(max(set(workers.stream(process_of, range(64))))) if kill and workers else silent
            held = slowed(list(workers.client.run(os.getpid).values()), share) if workers and share < 1 else nullcontext()
            with held:
                run = timed(work, workers, progress)
            pipe.send(run)


@contextmanager
def slowed(pids: Sequence[int], share: float) -> Iterator[None]:
    """Let processes run for a share of the time alone, each by turns: they run at once as seldom as can be."""
    over = threading.Event()
    start = time.monotonic()

    def tell(pid: int, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # of one that was killed
            os.kill(pid, number)

    def pace(place: int, pid: int) -> None:
        begins = start + place / len(pids) * PERIOD_S
        while not over.wait(max(0.0, begins + share * PERIOD_S - time.monotonic())):
            tell(pid, signal.SIGSTOP)
            begins += PERIOD_S
            over.wait(max(0.0, begins - time.monotonic()))
            tell(pid, signal.SIGCONT)

    threads = [threading.Thread(target=pace, args=each) for each in enumerate(pids)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def timed(work: Work, workers: DaskWorkers | None, progress: Progress) -> Run:
    """Return how long a run takes, and what it makes."""
    with tempfile.TemporaryDirectory(dir=work.folder) as name:
        out = Path(name) / "out"
        before, theirs, start = time.process_time(), workers_seconds(workers), time.perf_counter()
        work.do(workers or "threads", out, progress)
        wall, command = time.perf_counter() - start, time.process_time() - before
        digest = hashlib.sha256()
        for path in sorted(out.rglob("*")):
            if path.suffix in (".png", ".parquet", ".tif", ".gpkg"):
                digest.update(path.name.encode() + path.read_bytes())
        return Run(wall, command, workers_seconds(workers) - theirs, digest.hexdigest())


def workers_seconds(workers: DaskWorkers | None) -> float:
    """Return how long workers have had a core."""
    return float(sum(workers.client.run(time.process_time).values())) if workers else 0.0


@contextmanager
def dask(folder: Path, workers: int) -> Iterator[str]:
    """Yield the address of a scheduler with so many single-threaded workers; one that dies is started anew, as Dask's are."""
    import dask
    from distributed import LocalCluster

    with ExitStack() as stack:
        # It is not dead that stands still.
        stack.enter_context(dask.config.set({"distributed.scheduler.worker-ttl": None}))
        cluster = stack.enter_context(
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=":0",
                local_directory=str(folder),
                silence_logs=50,
            )
        )
        yield cluster.scheduler_address.replace("tcp://", "dask://")


def process_of(_: int) -> int:
    """Return the process that works this off."""
    time.sleep(0.02)
    return os.getpid()


class Killing:
    """Progress that kills a process once a quarter is done."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @contextmanager
    def __call__(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        """Yield what is told of work that is done."""
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            before, done = done, done + count
            if before < total / 4 <= done and description.startswith(("cutting", "mapping", "evaluating", "making")):
                os.kill(self.pid, signal.SIGKILL)

        yield advance


def make_dataset(folder: Path, tiles: int) -> None:
    """Make a dataset of noise at eight places, of which it says nothing but how long it takes."""
    from PIL import Image

    from spurgekit.dataset import DatasetOptions, build_dataset

    rng = np.random.default_rng(0)
    for label in ("sand", "weed"):
        for number in range(tiles):
            file = folder / "images" / label / f"p{number % 8}-{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (IMAGE_PX, IMAGE_PX, 3), np.uint8)).save(file)
    options = DatasetOptions(classes=("sand", "weed"), group_pattern=r"p\d", test_share=0.25, shots=SHOTS, trials=TRIALS)
    build_dataset(folder / "images", folder / "dataset", options)


def make_model(folder: Path, backbone: str) -> None:
    """Train a model to tell dark tiles of such ground from light ones."""
    import geopandas as gpd
    import rasterio

    from spurgekit.classify import TrainOptions, train_model
    from spurgekit.dataset import DatasetOptions, build_dataset
    from spurgekit.imagery import PixelGrid, Window
    from spurgekit.tiles import TileOptions, tile_images
    from tests.benchmarks.sites import make_orthomosaic

    ground = make_orthomosaic(folder / "ground.tif", 20 * MAP_TILE_PX, seed=1)
    with rasterio.open(ground) as file:
        grid, green = PixelGrid(file.width, file.height, file.transform, file.crs), file.read(2)
    means = green.reshape(20, MAP_TILE_PX, 20, MAP_TILE_PX).mean(axis=(1, 3))
    windows = [
        Window(int(col) * MAP_TILE_PX + 10, int(row) * MAP_TILE_PX + 10, MAP_TILE_PX - 20, MAP_TILE_PX - 20)
        for row, col in np.argwhere(means < np.median(means))
    ]
    weed = gpd.GeoDataFrame(geometry=[grid.footprint(window) for window in windows], crs="EPSG:32612")
    weed.to_file(folder / "weed.gpkg")
    tile_images(ground, folder / "ground-tiles", TileOptions(layout="grid", size_px=MAP_TILE_PX))
    labelled = DatasetOptions(labels=folder / "weed.gpkg", classes=("light", "dark"))
    build_dataset(folder / "ground-tiles", folder / "ground-dataset", labelled)
    how = TrainOptions(backbone=backbone, pretrained=False, image_size_px=IMAGE_PX)
    train_model(folder / "ground-dataset", folder / "model", how)


if __name__ == "__main__":
    main()
