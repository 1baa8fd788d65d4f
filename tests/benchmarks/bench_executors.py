"""What a second worker is worth: ``python -m tests.benchmarks.bench_executors [--size 16000] [--runs 3]``.

Tiles and a map of an orthomosaic, an evaluation of two arms at three numbers of shots, and edits of its tiles by a small
diffusion model, are made by threads of this process, by one single-threaded worker of a Dask cluster on this machine, on one
core that it shares with this process and with Dask's scheduler, by one that has a core to itself, by two, which share two cores
with them, and by two of which one is killed once a quarter of the work is done. So the first is half of what two have, and the
second more than half; how much a second core is worth on the machine is what ``network`` says, a network alone that is shown
images that are ready. They take turns, after a run of each that does not count, since a machine's own rate drifts by a third. A
run that loses a worker takes at least ``1/4 * 1/2 + 3/4`` of one worker's time. That all make the same bytes is checked. It
needs two cores that nothing else uses; with ``--cpu-time`` it counts the seconds that this process and its workers take of a
core instead, of one worker and of two, which are the same on any machine: what two take more than one is work that is done
twice.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Set
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
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
Work = Callable[[str | Workers, Path, Progress], object]
ARMS, SHOTS, TRIALS = ("probe", "probe+randaugment"), (1, 4, 16), 10
BACKBONE, IMAGE_PX = "mobilenetv2_035", 224
"""A small one, of random weights, which take as long as others, and the size that tiles are shown at. Of one that takes longer
less of the work is the command's."""

BATCHES = 300
"""Of 16 images, which the network alone is shown."""

MAP_TILE_PX = 100
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Of workers and of this process, lest one worker have more than a core."""


def main() -> None:
    """Print seconds and ratios."""
    # Not above: Dask's workers import this module before they answer.
    from spurgekit.augment import AugmentOptions, augment_dataset
    from spurgekit.evaluate import EvaluateOptions, evaluate_arms
    from spurgekit.maps import load_map_model, map_site
    from spurgekit.tiles import TileOptions, tile_images
    from tests.benchmarks.sites import make_orthomosaic
    from tests.diffusion.tiny import make_tiny

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=16_000, help="side of the orthomosaic in pixels")
    parser.add_argument("--map-size", type=int, default=8_000, help="of the one that is mapped")
    parser.add_argument("--tiles", type=int, default=64, help="tiles of each class of the evaluation's dataset")
    parser.add_argument("--backbone", default=BACKBONE, help="of timm; default: %(default)s")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=WORKS, default=WORKS)
    parser.add_argument("--cpu-time", action="store_true", help="count seconds of a core, on a machine that others use")
    options = parser.parse_args()
    os.environ.update(ONE_THREAD)  # Dask's workers inherit it
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Made where it is asked for, which takes minutes.
        site = cache(partial(make_orthomosaic, folder / "site.tif", options.size))
        ground = cache(partial(make_orthomosaic, folder / "ground-to-map.tif", options.map_size))
        dataset = cache(partial(make_dataset, folder, options.tiles))
        model = cache(partial(make_model, folder, options.backbone))
        diffusion = cache(partial(make_tiny, folder / "diffusion"))
        comparing = EvaluateOptions(
            arms=ARMS, shots=SHOTS, trials=TRIALS, backbone=options.backbone, pretrained=False, image_size_px=IMAGE_PX
        )

        def tile(executor: str | Workers, out: Path, progress: Progress) -> object:
            return tile_images(site(), out, TileOptions(layout="grid"), executor=executor, progress=progress)

        def evaluate(executor: str | Workers, out: Path, progress: Progress) -> object:
            return evaluate_arms(dataset(), out, comparing, executor=executor, progress=progress)

        def map_it(executor: str | Workers, out: Path, progress: Progress) -> object:
            return map_site(ground(), load_map_model(model(), "cpu", views=1), out, executor=executor, progress=progress)

        def augment(executor: str | Workers, out: Path, progress: Progress) -> object:
            editing = AugmentOptions(method="real-guidance", backbone=str(diffusion()), images=10)
            return augment_dataset(dataset(), out, editing, executor=executor, progress=progress)

        def network(executor: str | Workers, _: Path, progress: Progress) -> object:
            with open_workers(executor) as workers, progress("evaluating", BATCHES) as advance:
                for _number in workers.stream(Passes(options.backbone), range(BATCHES)):
                    advance(1)
            return None

        works = {"network": network, "tile": tile, "map": map_it, "evaluate": evaluate, "augment": augment}
        if options.cpu_time:
            print("| seconds of a core | here, 1 worker | its worker | here, 2 workers | its workers |")
            print("| --- | ---: | ---: | ---: | ---: |")
            for title in options.only:
                print(f"| `{title}` | {' | '.join(core_seconds(works[title], folder, options.runs))} |", flush=True)
            return
        print(f"{cores()} cores; least of {options.runs} runs, in seconds")
        print("(how many times as fast as 1 worker is, on one core and on two: median of runs one after the other)\n")
        print("| | threads | 1 worker on one core | 1 worker | 2 workers | 2, one killed |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for title in options.only:
            print(f"| `{title}` | {' | '.join(row(works[title], folder, options.runs))} |", flush=True)


@dataclass(frozen=True)
class Passes:
    """Shows a network of random weights a batch, in whatever process."""

    backbone: str

    def __call__(self, number: int) -> int:
        """Return the number."""
        network, images = network_alone(self.backbone)
        with torch.inference_mode(), autocast(images.device, pick_precision(images.device)):
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


def row(work: Work, folder: Path, runs: int) -> Iterator[str]:
    """Yield the cells of a table's row: workers of all kinds take turns, since the machine's own rate drifts."""
    seen: set[str] = set()
    held_to: dict[str, Callable[[], AbstractContextManager[None]]] = {
        "threads": nullcontext,
        "one on one core": one_core,
        "one": nullcontext,
        "two": nullcontext,
    }
    taken: dict[str, list[float]] = {title: [] for title in held_to}
    with ExitStack() as stack:
        executors: dict[str, str | Workers] = {"threads": "threads"}
        for title, number in (("one on one core", 1), ("one", 1), ("two", 2)):
            with held_to[title]():
                executors[title] = stack.enter_context(open_workers(stack.enter_context(dask(folder, number))))
        for turn in range(1 + runs):
            for title, executor in executors.items():
                with held_to[title]():
                    seconds = timed(work, executor, folder, seen, silent)
                if turn:  # the first does not count: workers load what they need
                    taken[title].append(seconds)
    two = taken["two"]
    ratios = [f"{np.median(np.divide(taken[title], two)):.2f}" for title in ("one on one core", "one")]
    yield from (f"{min(taken[title]):.1f}" for title in ("threads", "one on one core", "one"))
    yield f"{min(two):.1f} ({', '.join(ratios)})"
    killed = []
    for _ in range(runs):
        with dask(folder, 2) as executor, open_workers(executor) as workers:
            timed(work, workers, folder, seen, silent)
            pids = set(workers.stream(process_of, range(64)))
            killed.append(timed(work, workers, folder, seen, Killing(max(pids))))
    yield f"{min(killed):.1f}"
    check_alike(seen)


def core_seconds(work: Work, folder: Path, runs: int) -> Iterator[str]:
    """Yield the cells of a row of seconds of a core: of this process and of the workers, of one and of two."""
    seen: set[str] = set()
    for number in (1, 2):
        with dask(folder, number) as executor, open_workers(executor) as workers:
            assert isinstance(workers, DaskWorkers)
            timed(work, workers, folder, seen, silent)
            here, theirs = [], []
            for _ in range(runs):
                start, before = time.process_time(), workers_seconds(workers)
                timed(work, workers, folder, seen, silent)
                here.append(time.process_time() - start)
                theirs.append(workers_seconds(workers) - before)
        yield from (f"{min(here):.1f}", f"{min(theirs):.1f}")
    check_alike(seen)


def workers_seconds(workers: DaskWorkers) -> float:
    """Return how long workers have had a core."""
    return float(sum(workers.client.run(time.process_time).values()))


def check_alike(seen: set[str]) -> None:
    """End the script where outputs are not of the same bytes."""
    if len(seen) > 1:
        raise SystemExit(f"outputs differ: {seen}")


def timed(work: Work, executor: str | Workers, folder: Path, seen: set[str], progress: Progress) -> float:
    """Return how long a run takes, and note what it made."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        out = Path(name) / "out"
        start = time.perf_counter()
        work(executor, out, progress)
        taken = time.perf_counter() - start
        digest = hashlib.sha256()
        for path in sorted(out.rglob("*")):
            if path.suffix in (".png", ".parquet", ".tif", ".gpkg"):
                digest.update(path.name.encode() + path.read_bytes())
        seen.add(digest.hexdigest())
    return taken


@contextmanager
def dask(folder: Path, workers: int) -> Iterator[str]:
    """Yield the address of a scheduler with so many single-threaded workers; one that dies is started anew, as Dask's are."""
    from distributed import LocalCluster

    with ExitStack() as stack:
        cluster = stack.enter_context(
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                local_directory=str(folder),
                silence_logs=50,
            )
        )
        yield cluster.scheduler_address.replace("tcp://", "dask://")


@contextmanager
def one_core() -> Iterator[None]:
    """Hold threads and processes that are started meanwhile to one core."""
    before = os.sched_getaffinity(0)
    hold_to({min(before)})
    try:
        yield
    finally:
        hold_to(before)


def hold_to(cores: Set[int]) -> None:
    """Hold all threads of this process to some cores."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


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


def make_dataset(folder: Path, tiles: int) -> Path:
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
    return folder / "dataset"


def make_model(folder: Path, backbone: str) -> Path:
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
    return folder / "model"


if __name__ == "__main__":
    main()
