"""Edits of tiles and textual inversion on a GPU, against the reference code's way of working.

    python -m tests.benchmarks.bench_diffusion [--minutes 4] [--parts generation inversion] [--out FILE.json]
    python -m tests.benchmarks.bench_diffusion --tiny      # the whole script on a small model, on a CPU in a minute or two

The model is Stable Diffusion 1.5's architecture with random weights, made on the spot: speed does not depend on them, and
nothing is downloaded. Ratios of ``--tiny`` say that the script runs, and no more: so small a model is not what takes the time.

Generation. Both ways make edits of the same tiles (250 px, at 512 px and back, into PNGs) with the same strengths and steps:
plain diffusers one image a call (:class:`tests.benchmarks.diffusion.reference.OneAtATime`), and spurgekit's renderer at several
batch sizes, without and with ``torch.compile`` of the UNet. Each batch size stands between two measurements of the UNet alone,
bare forward passes on twice the batch in the same type and layout: what its time for all steps is of the whole is the share of
the peak rate. Where the time goes is taken in runs of their own, which wait for the GPU at both ends of each part.

Textual inversion. Samples a second for two classes: the training of diffusers' example one class after the other
(:class:`tests.benchmarks.diffusion.reference.ExampleTraining`) with the arguments of its README, with its defaults, and with
the batch of DA-Fusion in mixed precision; and spurgekit's for both at once, with what it does once (reading, encoding views).

It wants 2.1 GB in the temporary folder and, for the largest batches, 40 GiB or more of GPU memory; those that do not fit are
left out. Each part ends within about ``--minutes``: what would not fit into them is left out and named. Figures are written
as they come, and an error of one part does not keep the other back. ``make gpu-check`` runs it among others.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from spurgekit.diffusion.concepts import Concept, save_concept
from spurgekit.diffusion.library_logs import quiet
from tests.benchmarks.diffusion.clock import Budget, describe, forget
from tests.benchmarks.diffusion.generation import Scene, measure_generation
from tests.benchmarks.diffusion.inversion import measure_inversion
from tests.benchmarks.diffusion.models import make_sd15, write_tiles
from tests.benchmarks.diffusion.reference import EXAMPLE_SETTINGS
from tests.benchmarks.figures import Rows
from tests.diffusion.tiny import SIDE, WIDTH, make_tiny

TOKEN = "<leafy_spurge>"


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=["generation", "inversion"], default=["generation", "inversion"])
    parser.add_argument("--tiny", action="store_true", help="a small model, to try the script")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, default=4.0, help="for each part")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--strengths", type=float, nargs="+", default=[1.0, 0.75, 0.5, 0.25])
    parser.add_argument("--guidance", type=float, default=7.5)
    parser.add_argument("--per-tile", type=int, default=10, help="images of each tile; DA-Fusion makes 10 to 50")
    parser.add_argument("--batches", type=int, nargs="+", help="of generation (default 1 4 8 16 32 64)")
    parser.add_argument("--samples", type=int, nargs="+", help="of each class, of textual inversion (default 4 16)")
    parser.add_argument("--examples", type=int, default=3, help="settings of diffusers' example to train with, the first ones")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True, help="on a GPU")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser.parse_args()


def main() -> None:
    """Print the figures."""
    chosen = arguments()
    device = torch.device(chosen.device)
    model = "a tiny model" if chosen.tiny else "Stable Diffusion 1.5's architecture"
    settings = {
        "device": describe(device), "model": model, "steps": chosen.steps, "strengths": chosen.strengths,
        "guidance": chosen.guidance, "per_tile": chosen.per_tile,
    }  # fmt: skip
    strengths = ", ".join(f"{strength:g}" for strength in chosen.strengths)
    print(f"{settings['device']}; {model}, random weights", flush=True)
    print(
        f"{chosen.steps} steps, strengths {strengths}, guidance {chosen.guidance:g}, {chosen.per_tile} images a tile",
        flush=True,
    )
    figures: dict[str, Any] = {"settings": settings}
    with tempfile.TemporaryDirectory() as temporary, quiet():
        work = Path(temporary)
        start = time.perf_counter()
        size_px = SIDE if chosen.tiny else 512
        folder = make_tiny(work / "sd") if chosen.tiny else make_sd15(work / "sd", device)
        tiles = write_tiles(work / "tiles", 16)
        concept, out = work / "leafy_spurge.safetensors", work / "made"
        save_concept(Concept(TOKEN, (0.02 * torch.randn(1, WIDTH if chosen.tiny else 768),)), concept)
        out.mkdir()
        forget(device)
        print(f"model and tiles made in {time.perf_counter() - start:.0f} s", flush=True)
        scene = Scene(
            folder,
            tuple(tiles),
            concept,
            out,
            device,
            size_px,
            chosen.steps,
            tuple(chosen.strengths),
            chosen.guidance,
            chosen.per_tile,
        )
        compiles = device.type == "cuda" and chosen.compile
        measures: dict[str, Callable[..., Any]] = {
            "generation": partial(measure_generation, scene, chosen.batches or (1, 4, 8, 16, 32, 64), compiles),
            "inversion": partial(
                measure_inversion,
                folder,
                tiles,
                size_px=size_px,
                batches=chosen.samples or (4, 16),
                examples=EXAMPLE_SETTINGS[: chosen.examples],
                device=device,
            ),
        }
        for part in chosen.parts:
            print(f"\n{part}", flush=True)
            rows = Rows(figures, part, chosen.out)
            try:
                measures[part](rows=rows, budget=Budget(chosen.minutes))
            except Exception:  # a machine that is lent for minutes should not be given back without the other part
                rows.add(error=traceback.format_exc())
                print(rows[-1]["error"], flush=True)
            forget(device)
    if any("error" in row for part in chosen.parts for row in figures[part]):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
