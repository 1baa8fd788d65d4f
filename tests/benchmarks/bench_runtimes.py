"""What looks at tiles fastest on a CPU: the network as `map` runs it, compiled by torch, by ONNX Runtime, by OpenVINO.

    python -m tests.benchmarks.bench_runtimes [--backbones mobilenetv2_035 tf_efficientnet_lite0 resnet18] [--batch 8]
        [--threads 1] [--rounds 3] [--seconds 4]
    SPURGEKIT_DATA=../shared/data python -m tests.benchmarks.bench_runtimes --copr

A batch of random tiles of 224 px that is ready goes through each in turn, in seconds of CPU time, so that other work counts
less; what each one needs at the start is told by itself. ``map`` runs the first: batch norms folded, channels last, in bfloat16
where the hardware multiplies it. What is not installed is left out.

With ``--copr`` PyTorch and OpenVINO are compared by what they say instead: of COPR's held-out tiles, by probes that learned
from 16 tiles a class.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spurgekit.classify import TrainOptions, train_model
from spurgekit.classify.folding import fold_norms
from spurgekit.classify.scores import value_of
from spurgekit.classify.tile_reader import read_tile
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.dataset import open_dataset
from spurgekit.maps import load_map_model
from spurgekit.precision import autocast, pick_precision, put_on
from tests.benchmarks.bench_arms import HALF, copr
from tests.benchmarks.bench_shift import BACKBONES, DATA
from tests.benchmarks.diffusion.clock import describe
from tests.benchmarks.map_peers import IMAGE_PX

CPU = torch.device("cpu")
Run = Callable[[], object]


def runs(backbone: str, batch: int, threads: int, folder: Path) -> Iterator[tuple[str, Run]]:
    """Yield what each is called, and what sends a batch through it."""
    pixels = torch.rand((batch, 3, IMAGE_PX, IMAGE_PX), generator=torch.Generator().manual_seed(0))
    last = pixels.contiguous(memory_format=torch.channels_last)

    def network(*, folded: bool) -> torch.nn.Module:
        found = put_on(make_backbone(backbone, num_classes=2), CPU).eval()
        if folded:
            fold_norms(found, pixels[:1])
        return found

    def by_torch(module: Any, dtype: torch.dtype | None) -> Run:
        def run() -> None:
            with torch.inference_mode(), autocast(CPU, dtype):
                module(last)

        return run

    auto = pick_precision(CPU)
    for dtype in dict.fromkeys((auto, None)):
        what = "float32" if dtype is None else "bfloat16"
        yield f"as map runs it, {what}", by_torch(network(folded=True), dtype)
        yield f"torch.compile, {what}", by_torch(torch.compile(network(folded=True)), dtype)
        yield f"torch.compile, norms not folded, {what}", by_torch(torch.compile(network(folded=False)), dtype)
    file = folder / f"{backbone}.onnx"
    torch.onnx.export(network(folded=True), (pixels,), file, dynamo=True, input_names=["tiles"], verbose=False)
    array = pixels.numpy()
    try:
        import onnxruntime
    except ImportError:
        print("ONNX Runtime is not installed")
    else:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        yield "ONNX Runtime, float32", lambda: session.run(None, {"tiles": array})
    try:
        openvino: Any = importlib.import_module("openvino")
    except ImportError:
        print("OpenVINO is not installed")
    else:
        for what in ("f32", "bf16"):
            compiled = openvino.Core().compile_model(
                file, "CPU", {"INFERENCE_PRECISION_HINT": what, "INFERENCE_NUM_THREADS": threads}
            )
            yield f"OpenVINO, {'float32' if what == 'f32' else 'bfloat16'}", partial(compiled, array)


def compare(folder: Path) -> None:
    """Print what probes say of COPR's held-out tiles, by what runs their network and in what it counts."""
    dataset = copr(folder)
    tested = open_dataset(dataset).split("test")
    shown = np.stack([read_tile(path) for path in tested["path"]])
    print(
        f"{len(tested)} held-out tiles of COPR, 4 views | AUROC | p: mean and largest difference from PyTorch's in float32 | "
        "from PyTorch's in the same"
    )
    for backbone, of_it in BACKBONES.values():
        weights = DATA / "weights" / backbone / "model.safetensors"
        options = TrainOptions(backbone=backbone, weights=weights, backbone_options=of_it, shots=16, mean=HALF, std=HALF)
        train_model(dataset, folder / backbone, options)
        said: list[NDArray[np.float32]] = []
        for precision in ("float32", "bfloat16"):
            for runtime in ("torch", "openvino"):
                model = load_map_model(folder / backbone, "cpu", precision=precision, runtime=runtime)
                found = np.concatenate([model.predict(part) for part in np.array_split(shown, range(8, len(shown), 8))])
                said.append(found[:, 1])
                apart = [np.abs(said[-1] - other) for other in (said[0], said[-1 - (runtime == "openvino")])]
                auroc = value_of("auroc", found, tested["target"].to_numpy())
                far = " | ".join(f"{one.mean():.1e} {one.max():.1e}" for one in apart)
                print(f"{backbone} | {precision} | {runtime} | {auroc:.4f} | {far}", flush=True)


def rate(run: Run, batch: int, seconds: float) -> float:
    """Return images per second of CPU time."""
    start = time.process_time()
    count = 0
    while time.process_time() - start < seconds:
        run()
        count += batch
    return count / (time.process_time() - start)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["mobilenetv2_035", "tf_efficientnet_lite0", "resnet18"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--copr", action="store_true", help="compare what they say of tiles")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(describe(CPU))
    with tempfile.TemporaryDirectory() as name:
        if chosen.copr:
            compare(Path(name))
            return
        for backbone in chosen.backbones:
            ready = []
            for what, run in runs(backbone, chosen.batch, chosen.threads, Path(name)):
                start = time.perf_counter()
                run()
                ready.append((what, run, time.perf_counter() - start))
            found = [[rate(run, chosen.batch, chosen.seconds) for _, run, _ in ready] for _ in range(chosen.rounds)]
            first = np.array(found)[:, 0]
            for (what, _, begun), rates in zip(ready, np.array(found).T, strict=True):
                print(
                    f"{backbone:22s} {what:42s} {np.median(rates):7.1f} images/s, {np.median(rates / first):.2f} of the first, "
                    f"{begun:.1f} s for the first batch",
                    flush=True,
                )


if __name__ == "__main__":
    main()
