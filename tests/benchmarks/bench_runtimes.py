"""What looks at tiles fastest on a CPU: the network as `map` runs it, compiled by torch, by ONNX Runtime, by OpenVINO.

    python -m tests.benchmarks.bench_runtimes [--backbones mobilenetv2_035 tf_efficientnet_lite0 resnet18] [--batch 8]
        [--threads 1] [--rounds 3] [--seconds 4]

A batch of random tiles of 224 px that is ready goes through each in turn, in seconds of CPU time, so that other work counts
less; what each one needs at the start is told by itself. ``map`` runs the first: batch norms folded, channels last, in bfloat16
where the hardware multiplies it. What is not installed is left out.
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

from spurgekit.classify.folding import fold_norms
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.precision import autocast, pick_precision, put_on
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
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(describe(CPU))
    with tempfile.TemporaryDirectory() as name:
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
