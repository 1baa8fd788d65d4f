"""Edits of tiles: this pipeline, plain diffusers one image at a time, and the UNet alone."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from spurgekit.augment.generation import IN_FLIGHT
from spurgekit.diffusion import render
from spurgekit.diffusion.edits import Rendered, steps_of
from spurgekit.diffusion.image_tensors import from_model
from spurgekit.diffusion.latent_model import Backbone
from spurgekit.diffusion.load import load_backbone
from spurgekit.diffusion.render import Edit, EditUnit, Renderer, RenderOptions
from spurgekit.outputs import output_file
from spurgekit.parallel import stream_map
from spurgekit.seeds import seed_of
from spurgekit.tiles.png import encode_png
from tests.benchmarks.diffusion.clock import Budget, Stopwatch, forget, peak_gib, seconds_of
from tests.benchmarks.diffusion.models import TILE_PX
from tests.benchmarks.diffusion.reference import OneAtATime, parts_of
from tests.benchmarks.figures import Rows

PROMPT = "a drone photo of <leafy_spurge>"
LEAST = 4
"""Images of each strength that are made at least, in small batches."""
DECODED = (1, 4, 16)
"""Images that are decoded at a time, where decoding is measured by itself."""
COMPILING = 100.0
"""Seconds that compiling a UNet of Stable Diffusion's size may take, for each batch size on a GPU."""


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

    def reference(self) -> OneAtATime:
        """Return plain diffusers."""
        return OneAtATime(
            self.folder, self.concept, size_px=self.size_px, steps=self.steps, guidance=self.guidance, device=self.device
        )

    def images_of(self, batch: int) -> int:
        """Return how many images :meth:`units` holds."""
        return math.ceil(LEAST / batch) * batch * len(self.strengths)

    @property
    def warming(self) -> Scene:
        """The same with one step, of tiles from the other end: what it leaves in caches is of no use after."""
        return replace(self, strengths=(1.001 / self.steps,), tiles=self.tiles[::-1])

    def units(self, name: str, batch: int) -> list[EditUnit]:
        """Return units of a batch size, as many images of each strength."""
        found, count = [], math.ceil(LEAST / batch) * batch
        for strength in self.strengths:
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


@dataclass(frozen=True, slots=True)
class Rate:
    """What was measured: images a second, their number, the most memory."""

    images_s: float
    images: int
    peak_gib: float | None

    def __str__(self) -> str:
        memory = "" if self.peak_gib is None else f"   {self.peak_gib:5.1f} GiB"
        return f"{self.images_s:8.3f} images/s of {self.images:3d}{memory}"


def measure_generation(scene: Scene, batches: Sequence[int], compiles: bool, rows: Rows, budget: Budget) -> None:
    """Print the figures and add them to the rows."""
    reference = scene.reference()
    one = reference_rate(scene, reference, budget.measurement)
    print(f"plain diffusers, one image a call       {one}", flush=True)
    rows.add(way="one image a call", batch=1, **_row(one))
    rows.add(way="one image a call", parts=_print_parts("plain diffusers", *reference_parts(scene, reference)))
    del reference
    forget(scene.device)

    backbone = load_backbone(scene.folder, device=str(scene.device))
    best = (one.images_s, 1)
    reserved = COMPILING if compiles else 0.0
    for batch in batches:
        if not budget.allows(2 * scene.images_of(batch) / best[0] + reserved, f"batch {batch}"):
            break
        if not (found := _measure_batch(scene, backbone, batch, one)):
            break
        rows.add(**found)
        best = max(best, (found["images_s"], batch))
    if budget.allows(budget.measurement, "decoding alone"):
        _measure_decoding(scene, backbone, rows)
    for batch in sorted({1, best[1]}, reverse=True):
        if budget.allows(1.2 * scene.images_of(batch) / best[0] + reserved, f"where the time goes at batch {batch}"):
            shares = _print_parts(f"batch {batch}", *parts(scene, backbone, batch))
            rows.add(way="spurgekit", batch=batch, parts=shares)
    for batch in sorted({1, best[1]}, reverse=True) if compiles else ():
        if budget.allows(2 * scene.images_of(batch) / best[0] + COMPILING, f"batch {batch}, compiled") and (
            found := _measure_batch(scene, backbone, batch, one, compiles=True)
        ):
            rows.add(**found)
    del backbone
    forget(scene.device)
    again = reference_rate(scene, scene.reference(), budget.measurement / 2)
    print(f"plain diffusers, one image a call       {again}, at the end", flush=True)
    for row in rows:
        if row["way"].startswith("spurgekit") and row.get("batch") in (1, best[1]) and "images_s" in row:
            row["times_mean_reference"] = row["images_s"] / mean((one.images_s, again.images_s))
            print(f"{row['way']}, batch {row['batch']}: {row['times_mean_reference']:.2f} x the mean of both", flush=True)
    rows.add(way="one image a call, at the end", batch=1, **_row(again))


def reference_rate(scene: Scene, reference: OneAtATime, should_take: float) -> Rate:
    """Return the rate of plain diffusers, the first images aside."""

    def turn() -> None:
        for strength in scene.strengths:
            reference.make(scene.tiles[-1], PROMPT, strength, scene.out / "warm.png")

    turn()
    rounds = max(2, round(should_take / seconds_of(turn, scene.device)))
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

    def work() -> None:
        for tile, strength in itertools.product(scene.tiles[:4], scene.strengths):
            reference.make(tile, PROMPT, strength, scene.out / "p.png")

    with watch.watching(*parts_of(reference)):
        total = seconds_of(work, scene.device)
    return watch, total


def make_and_write(scene: Scene, renderer: Renderer, units: Sequence[EditUnit]) -> None:
    """Make units as ``spurgekit augment`` makes them on one device: files are written while it makes the next ones."""

    def write(made: tuple[EditUnit, Rendered]) -> tuple[EditUnit, Rendered]:
        unit, rendered = made
        for edit, image in zip(unit.edits, rendered.images, strict=True):
            write_png(scene.out / f"{edit.id}.png", image)
        return made

    results = ((unit, renderer.render(unit)) for unit in units)
    with ThreadPoolExecutor(1) as writer:
        made = list(stream_map(writer, write, results, in_flight=IN_FLIGHT))
    for unit, rendered in made:
        if rendered.redone_in_float32:
            print(f"note: {rendered.redone_in_float32} images were made again in float32, which takes time", flush=True)
        if rendered.batch_size < len(unit.edits):
            raise torch.OutOfMemoryError


def write_png(path: Path, image: Any) -> None:
    """Write an image as ``spurgekit augment`` does."""
    with output_file(path) as partial_path:
        partial_path.write_bytes(encode_png(image))


def _measure_batch(scene: Scene, backbone: Backbone, batch: int, one: Rate, *, compiles: bool = False) -> dict[str, Any] | None:
    """Measure one batch size between two measurements of the UNet alone; None if it does not fit into memory."""
    way = f"spurgekit, {str(backbone.dtype).removeprefix('torch.')}{', compiled' if compiles else ''}"
    unet = torch.compile(backbone.unet) if compiles else backbone.unet
    renderer = Renderer(
        backbone, replace(scene.options, compile=compiles), warn=lambda text: print(f"note: {text}", flush=True)
    )
    units = scene.units(f"{way} {batch}", batch)
    forget(scene.device)
    try:
        start = time.perf_counter()
        before = unet_seconds(scene, backbone, batch, unet)  # compiles it: what is compiled once serves the renderer too
        make_and_write(scene, renderer, scene.warming.units("warm", batch))
        if compiles:
            print(f"compiled for batch {batch} in {time.perf_counter() - start:.0f} s", flush=True)
        took = seconds_of(partial(make_and_write, scene, renderer, units), scene.device)
        after = unet_seconds(scene, backbone, batch, unet)
    except torch.OutOfMemoryError:
        print(f"{way:29} batch {batch:3d}  does not fit into memory", flush=True)
        return None
    count = sum(len(unit.edits) for unit in units)
    steps = sum(steps_of(scene.steps, unit.strength) for unit in units)
    rate, share = Rate(count / took, count, peak_gib(scene.device)), mean((before, after)) * steps / took
    row = {
        "way": way, "batch": batch, **_row(rate), "times_reference": rate.images_s / one.images_s,
        "unet_images_s": rate.images_s / share, "share_of_unet": share, "image_steps_s": rate.images_s * steps * batch / count,
    }  # fmt: skip
    print(
        f"{way:29} batch {batch:3d} {rate}   {row['times_reference']:5.2f} x   "
        f"UNet alone {row['unet_images_s']:.3f}: {share:.2f} of that",
        flush=True,
    )
    return row


@torch.inference_mode()
def unet_seconds(scene: Scene, backbone: Backbone, batch: int, unet: Any) -> float:
    """Return how long the UNet alone takes for a step of a batch: twice as many latents, with and without the prompt."""
    side = scene.size_px // backbone.latent_px
    given: dict[str, Any] = {"device": scene.device, "dtype": backbone.dtype}
    latents = torch.randn(2 * batch, 4, side, side, **given).contiguous(memory_format=torch.channels_last)
    length = backbone.text_encoders[0].config.max_position_embeddings
    states = torch.randn(2 * batch, length, backbone.unet.config.cross_attention_dim, **given)
    step = torch.tensor(500, device=scene.device)

    def passes(count: int) -> None:
        for _ in range(count):
            unet(latents, step, encoder_hidden_states=states, added_cond_kwargs=None, return_dict=False)

    passes(2)
    once = seconds_of(partial(passes, 1), scene.device)
    count = min(20, max(3, int(2 / once)))
    return seconds_of(partial(passes, count), scene.device) / count


def parts(scene: Scene, backbone: Backbone, batch: int) -> tuple[Stopwatch, float]:
    """Return where the time of this pipeline goes."""
    watch = Stopwatch(scene.device)
    renderer = Renderer(backbone, scene.options)
    units = scene.units("parts", batch)
    watched: list[tuple[Any, str, str]] = [
        (backbone.text_encoders[0], "forward", "text"),
        (render, "read_picture", "reading"),
        (render, "to_model", "resize"),
        (backbone, "encode", "VAE encode"),
        (backbone.unet, "forward", "UNet"),
        (backbone, "decode", "VAE decode"),
        (render, "to_bytes", "resize"),
    ]
    with watch.watching(*watched):
        total = seconds_of(partial(make_and_write, scene, renderer, units), scene.device)
    return watch, total


def _measure_decoding(scene: Scene, backbone: Backbone, rows: Rows) -> None:
    """Measure what follows the UNet: the decoder, and pictures in the size of their tiles on the CPU, by images at a time."""
    side = scene.size_px // backbone.latent_px
    for batch in DECODED:
        latents = torch.randn(batch, 4, side, side, device=scene.device)
        images = backbone.decode(latents)
        hand_over = partial(from_model, images, [(TILE_PX, TILE_PX)] * batch)
        hand_over()
        decode, resize = (
            1e3 / batch * min(seconds_of(work, scene.device) for _ in range(3))
            for work in (partial(backbone.decode, latents), hand_over)
        )
        rows.add(way="decoding alone", batch=batch, decode_ms=decode, resize_ms=resize)
        print(f"decoding alone, {batch:2d} at a time: {decode:.2f} ms an image, resizing {resize:.2f} ms", flush=True)


def _print_parts(way: str, watch: Stopwatch, total: float) -> dict[str, float]:
    shares = watch.shares(total)
    text = ", ".join(f"{part} {share:.3f}" for part, share in sorted(shares.items(), key=lambda item: -item[1]))
    print(f"where the time goes, {way}: {text}   (UNet passes: {watch.calls.get('UNet', 0)})", flush=True)
    return shares


def _row(rate: Rate) -> dict[str, Any]:
    return {"images_s": rate.images_s, "images": rate.images, "peak_gib": rate.peak_gib}
