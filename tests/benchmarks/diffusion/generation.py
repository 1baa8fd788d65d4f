"""Edits of tiles: this pipeline, plain diffusers one image at a time, and the UNet alone."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from spurgekit.augment.workers import render_here
from spurgekit.diffusion import render
from spurgekit.diffusion.backbone import Backbone
from spurgekit.diffusion.load import load_backbone
from spurgekit.diffusion.render import Edit, EditUnit, Renderer, RenderOptions
from spurgekit.outputs import output_file
from spurgekit.seeds import seed_of
from spurgekit.tiles.png import encode_png
from tests.benchmarks.diffusion.clock import Budget, Stopwatch, forget, peak_gib, seconds_of, wait
from tests.benchmarks.diffusion.reference import OneAtATime, parts_of

PROMPT = "a drone photo of <leafy_spurge>"
SECONDS = 12.0
"""What a measurement should take, where there is time for it."""
COMPILING = 100.0
"""Seconds that compiling a UNet of Stable Diffusion's size may take, for each batch size."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is made, by all ways alike."""

    folder: Path
    tiles: tuple[Path, ...]
    concept: Path
    out: Path
    device: torch.device
    size_px: int
    steps: int
    strengths: tuple[float, ...]
    guidance: float
    per_tile: int

    @property
    def options(self) -> RenderOptions:
        """What the renderer is told."""
        return RenderOptions(steps=self.steps, guidance=self.guidance, size_px=self.size_px)

    def units(self, name: str, batch: int, count: int, strengths: Sequence[float]) -> list[EditUnit]:
        """Return units for so many images of each strength."""
        found = []
        for strength in strengths:
            edits = [
                Edit(
                    id=(key := f"{name}-{strength:g}-{i}"),
                    source=self.tiles[i // self.per_tile % len(self.tiles)],
                    prompt=PROMPT,
                    seed=seed_of(key),
                    concepts=(self.concept,),
                )
                for i in range(count)
            ]
            found += [EditUnit(tuple(edits[i : i + batch]), "edit", strength) for i in range(0, count, batch)]
        return found

    def steps_of(self, unit: EditUnit) -> int:
        """Return how many times the UNet looks at a unit."""
        return int(self.steps * unit.strength)


@dataclass(frozen=True, slots=True)
class Rate:
    """What was measured: images a second, their number, the most memory."""

    images_s: float
    images: int
    peak_gib: float | None

    def __str__(self) -> str:
        memory = "" if self.peak_gib is None else f"   {self.peak_gib:5.1f} GiB"
        return f"{self.images_s:8.3f} images/s of {self.images:3d}{memory}"


def measure_generation(scene: Scene, batches: Sequence[int], compiled: bool, budget: Budget) -> list[dict[str, Any]]:
    """Print and return the figures."""
    rows: list[dict[str, Any]] = []
    reference = OneAtATime(
        scene.folder, scene.concept, size_px=scene.size_px, steps=scene.steps, guidance=scene.guidance, device=scene.device
    )
    one = reference_rate(scene, reference)
    print(f"plain diffusers, one image a call       {one}", flush=True)
    rows.append({"way": "one image a call", "batch": 1, **_row(one)})
    rows.append({"way": "one image a call", "parts": _print_parts("plain diffusers", *reference_parts(scene, reference))})
    del reference
    forget(scene.device)

    backbone = load_backbone(scene.folder, device=str(scene.device))
    dtype = str(backbone.dtype).removeprefix("torch.")
    per_image = 1 / one.images_s
    best: tuple[float, int] | None = None
    for batch in batches:
        guess = max(batch, 8) * len(scene.strengths) * per_image  # no slower than one at a time
        if not budget.allows(min(guess, 3 * SECONDS), f"batch {batch}"):
            break
        found = _measure_batch(scene, backbone, batch, one, f"spurgekit, {dtype}")
        if found is None:
            break
        rows.append(found)
        per_image = 1 / found["images_s"]
        best = max(best or (0.0, 0), (found["images_s"], batch))
    if best is None:
        return rows
    print(f"{'best batch':39} {best[1]:4d}: {best[0] / one.images_s:.2f} x plain diffusers", flush=True)
    for batch in sorted({1, best[1]}):
        if budget.allows(2 * batch * len(scene.strengths) / best[0], f"where the time goes at batch {batch}"):
            shares = _print_parts(f"batch {batch}", *parts(scene, backbone, batch))
            rows += [{"way": "spurgekit", "batch": batch, "parts": shares}]
    if compiled:
        rows += _compiled(scene, backbone, sorted({best[1], 1}, reverse=True), one, budget)
    return rows


def reference_rate(scene: Scene, reference: OneAtATime) -> Rate:
    """Return the rate of plain diffusers, the first image aside."""
    tile = scene.tiles[0]
    make = partial(reference.make, tile, PROMPT)
    first = [seconds_of(partial(make, strength, scene.out / "warm.png"), scene.device) for strength in scene.strengths]
    turn = sum(seconds_of(partial(make, strength, scene.out / "warm.png"), scene.device) for strength in scene.strengths)
    rounds = max(2, math.ceil(SECONDS / min(turn, sum(first))))
    forget(scene.device)

    def work() -> None:
        for number in range(rounds):
            for strength in scene.strengths:
                tile = scene.tiles[number // scene.per_tile % len(scene.tiles)]
                reference.make(tile, PROMPT, strength, scene.out / f"one-{number}-{strength:g}.png")

    count = rounds * len(scene.strengths)
    return Rate(count / seconds_of(work, scene.device), count, peak_gib(scene.device))


def reference_parts(scene: Scene, reference: OneAtATime) -> tuple[Stopwatch, float]:
    """Return where the time of plain diffusers goes."""
    watch = Stopwatch(scene.device)
    with watch.watching(*parts_of(reference)):
        total = seconds_of(
            lambda: [reference.make(tile, PROMPT, s, scene.out / "p.png") for tile in scene.tiles[:4] for s in scene.strengths],
            scene.device,
        )
    return watch, total


def make_and_write(scene: Scene, renderer: Renderer, units: Sequence[EditUnit]) -> None:
    """Make units as ``spurgekit augment`` makes them on one device."""
    for unit, rendered in render_here(units, renderer):
        for edit, image in zip(unit.edits, rendered.images, strict=True):
            write_png(scene.out / f"{edit.id}.png", image)
        if rendered.redone_in_float32:
            print(f"note: {rendered.redone_in_float32} images were done again in float32, which takes time", flush=True)


def write_png(path: Path, image: Any) -> None:
    """Write an image as ``spurgekit augment`` does."""
    with output_file(path) as partial_path:
        partial_path.write_bytes(encode_png(image))


def _measure_batch(scene: Scene, backbone: Backbone, batch: int, one: Rate, way: str) -> dict[str, Any] | None:
    """Measure one batch size between two measurements of the UNet alone; None if it does not fit into memory."""
    forget(scene.device)
    warnings: list[str] = []
    try:
        renderer = Renderer(backbone, scene.options, warn=warnings.append)
        warm = scene.units("warm", batch, batch, [1 / scene.steps + 1e-6])
        make_and_write(scene, renderer, warm)
        before = unet_seconds(scene, backbone, batch)
        units = scene.units(f"b{batch}", batch, _rounded_up(8, batch), scene.strengths)
        renderer = Renderer(backbone, scene.options, warn=warnings.append)  # with nothing remembered
        forget(scene.device)
        took = seconds_of(partial(make_and_write, scene, renderer, units), scene.device)
        peak = peak_gib(scene.device)
        after = unet_seconds(scene, backbone, batch)
    except torch.OutOfMemoryError:
        print(f"{way:33} batch {batch:3d}  does not fit into memory", flush=True)
        return None
    if warnings:
        print(f"{way:33} batch {batch:3d}  {'; '.join(dict.fromkeys(warnings))}", flush=True)
        return None
    count = sum(len(unit.edits) for unit in units)
    passes = sum(scene.steps_of(unit) for unit in units)
    rate, share = Rate(count / took, count, peak), mean((before, after)) * passes / took
    row = {
        "way": way, "batch": batch, **_row(rate), "times_reference": rate.images_s / one.images_s,
        "unet_images_s": rate.images_s / share, "share_of_unet": share, "image_steps_s": rate.images_s * passes * batch / count,
    }  # fmt: skip
    print(
        f"{way:29} batch {batch:3d} {rate}   {row['times_reference']:5.2f} x   "
        f"UNet alone {row['unet_images_s']:.3f}: {share:.2f} of that",
        flush=True,
    )
    return row


def unet_seconds(scene: Scene, backbone: Backbone, batch: int) -> float:
    """Return how long the UNet alone takes for a step of a batch: twice as many latents, with and without the prompt."""
    side = scene.size_px // backbone.latent_px
    given = {"device": scene.device, "dtype": backbone.dtype}
    latents = torch.randn(2 * batch, 4, side, side, **given).contiguous(memory_format=torch.channels_last)
    length = backbone.text_encoders[0].config.max_position_embeddings
    states = torch.randn(2 * batch, length, backbone.unet.config.cross_attention_dim, **given)
    step = torch.tensor(500, device=scene.device)

    def passes(count: int) -> None:
        with torch.inference_mode():
            for _ in range(count):
                backbone.unet(latents, step, encoder_hidden_states=states, return_dict=False)

    passes(2)
    once = seconds_of(partial(passes, 1), scene.device)
    count = min(20, max(3, int(2 / once)))
    return seconds_of(partial(passes, count), scene.device) / count


def parts(scene: Scene, backbone: Backbone, batch: int) -> tuple[Stopwatch, float]:
    """Return where the time of this pipeline goes."""
    watch = Stopwatch(scene.device)
    renderer = Renderer(backbone, scene.options)
    units = scene.units("parts", batch, _rounded_up(4, batch), scene.strengths)
    watched: list[tuple[Any, str, str]] = [
        (backbone.text_encoders[0], "forward", "text"),
        (render, "read_picture", "reading"),
        (render, "to_model", "resize"),
        (backbone, "encode", "VAE encode"),
        (backbone.unet, "forward", "UNet"),
        (backbone, "decode", "VAE decode"),
        (render, "from_model", "resize"),
    ]
    with watch.watching(*watched):
        start = time.perf_counter()
        for unit, rendered in render_here(units, renderer):
            with watch.part("PNG"):
                for edit, image in zip(unit.edits, rendered.images, strict=True):
                    write_png(scene.out / f"{edit.id}.png", image)
        wait(scene.device)
    return watch, time.perf_counter() - start


def _compiled(scene: Scene, backbone: Backbone, batches: Sequence[int], one: Rate, budget: Budget) -> list[dict[str, Any]]:
    """Measure again with the UNet compiled."""
    eager, rows = backbone.unet, []
    backbone.unet = torch.compile(eager, dynamic=False)
    try:
        for batch in batches:
            if scene.device.type == "cuda" and not budget.allows(COMPILING, f"compiling for batch {batch}"):
                continue
            start = time.perf_counter()
            unet_seconds(scene, backbone, batch)
            print(f"compiled for batch {batch} in {time.perf_counter() - start:.0f} s", flush=True)
            if found := _measure_batch(scene, backbone, batch, one, "spurgekit, compiled UNet"):
                rows.append(found)
    finally:
        backbone.unet = eager
    return rows


def _print_parts(way: str, watch: Stopwatch, total: float) -> dict[str, float]:
    shares = watch.shares(total)
    text = ", ".join(f"{part} {share:.3f}" for part, share in sorted(shares.items(), key=lambda item: -item[1]))
    print(f"where the time goes, {way}: {text}   (UNet passes: {watch.calls.get('UNet', 0)})", flush=True)
    return shares


def _row(rate: Rate) -> dict[str, Any]:
    return {"images_s": rate.images_s, "images": rate.images, "peak_gib": rate.peak_gib}


def _rounded_up(count: int, batch: int) -> int:
    return math.ceil(count / batch) * batch
