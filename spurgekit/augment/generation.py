"""Making an ``augmented/`` folder: synthetic tiles of support sets, and their manifest."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spurgekit.augment.augment_options import AugmentOptions
from spurgekit.augment.duplicates import near_duplicates, perceptual_hashes
from spurgekit.augment.embeddings import check_embeddings, embedding_path, learn_embeddings
from spurgekit.augment.estimate import NOTHING, CostEstimate, measure
from spurgekit.augment.inputs import Announcement, AugmentInputs, AugmentReport
from spurgekit.augment.manifest import MANIFEST
from spurgekit.augment.mask_sources import MaskSource, write_masks
from spurgekit.augment.plan import SUFFIX, Plan, make_plan
from spurgekit.augment.progress_sheet import write_contact_sheet
from spurgekit.augment.run_log import RunLog
from spurgekit.augment.support_sets import SupportSetKey, choose_sets, tiles_of
from spurgekit.augment.workers import process_pool, render_here, render_on
from spurgekit.dataset import Dataset, open_dataset
from spurgekit.diffusion.image_tensors import read_picture
from spurgekit.diffusion.render import EditUnit, Rendered, Renderer
from spurgekit.errors import InputError, SpurgekitError
from spurgekit.outputs import (
    check_free,
    check_resumable,
    fingerprint,
    output_file,
    partial_folder,
    resumable_folder,
    write_provenance,
)
from spurgekit.parallel import stream_map
from spurgekit.progress import Progress, silent
from spurgekit.tiles.png import encode_png

if TYPE_CHECKING:
    from spurgekit.diffusion.latent_model import BackboneInfo

MASKS = "masks"
SHEET = "contact_sheet.png"
SHEET_SECONDS = 30.0
"""How often the contact sheet is drawn anew while a run goes on."""

IN_FLIGHT = 2
"""Units that are on their way: to each of several devices, and to the disk."""


def augment(
    inputs: AugmentInputs,
    options: AugmentOptions,
    out: Path,
    *,
    overwrite: bool = False,
    announce: Callable[[Announcement], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> AugmentReport:
    """Make synthetic tiles.

    Parameters
    ----------
    inputs : AugmentInputs
    options : AugmentOptions
    out : pathlib.Path
        Folder to make; one whose making was interrupted is gone on with.
    overwrite : bool
        Replace a folder that spurgekit made before.
    announce : callable
        Told once, before the first image, how many there will be, and how long they will take.
    warn : callable
        Told what else a user should know while the run goes on.
    progress : Progress

    Raises
    ------
    InputError
        If the dataset lacks what is asked for, options do not fit, or there is too little room on the disk.
    ModelError
        If the diffusion model cannot be had or does not fit.
    OutputExistsError
        If the folder is there already.
    """
    check_free(out, overwrite=overwrite)
    dataset = open_dataset(inputs.dataset)
    sets = choose_sets(dataset, inputs.shots, inputs.trials)
    with TemporaryDirectory() as scratch:
        # What is wrong with masks, options and settings is said before a model is loaded, let alone learns.
        masks = None if inputs.masks is None else _masks(dataset, sets, inputs, options, Path(scratch))
        plan = _plan(dataset, sets, inputs, options, masks, partial_folder(out) / MASKS)
        info = inputs.backbone.look_up(inputs.devices[0])
        inputs = replace(inputs, backbone=inputs.backbone.at_commit(info))
        load = cache(lambda: Renderer(inputs.backbone.load(inputs.devices[0]), options.render, warn=warn))
        if options.learns:
            _learn(dataset, sets, inputs, info, load, warn, progress)
        settings = _settings(inputs, options, sets, info, masks)
        check_resumable(out, settings, overwrite=overwrite, inputs=[inputs.dataset])
        done: Set[str] = set() if overwrite else RunLog.open(partial_folder(out)).done
        renderer = load() if plan.left(done) else None
        with resumable_folder(out, settings, overwrite=overwrite, inputs=[inputs.dataset]) as folder:
            if masks is not None:
                shutil.copytree(scratch, folder / MASKS, dirs_exist_ok=True)
            return _run(plan, folder, Path(out), len(sets), info, renderer, inputs, options, settings, announce, progress)


def _run(
    plan: Plan,
    folder: Path,
    out: Path,
    sets: int,
    info: BackboneInfo,
    renderer: Renderer | None,
    inputs: AugmentInputs,
    options: AugmentOptions,
    settings: Mapping[str, Any],
    announce: Callable[[Announcement], None],
    progress: Progress,
) -> AugmentReport:
    """Make the images of a plan that are not there yet, and the rest of the folder."""
    log = RunLog.open(folder)
    units, resumed = plan.left(log.done), len(log.done)
    estimate = NOTHING if renderer is None else measure(renderer, units, options, devices=len(inputs.devices))
    announce(Announcement(estimate, resumed, sets, out, info, inputs.backbone.safety_checker, inputs.devices))
    _check_room(folder, estimate)
    start = time.monotonic()
    if renderer is not None:
        _render(folder, plan, units, renderer, inputs, options, log, progress)
    seconds = time.monotonic() - start
    rows = _finished(folder, plan, options, log, info)
    with output_file(folder / MANIFEST) as partial_file:
        rows.to_parquet(partial_file, index=False)
    _draw(folder, rows, plan.sources)
    write_provenance(folder, parameters=settings, inputs=_files(inputs, options))
    log.close()
    return AugmentReport(
        folder=out,
        images=plan.images - len(log.blanked),
        resumed=resumed,
        rows=len(rows),
        in_float32=log.in_float32,
        blanked=len(log.blanked),
        duplicates=int((rows["weight"] == 0).sum()),
        seconds=seconds,
    )


def _plan(
    dataset: Dataset,
    sets: Sequence[SupportSetKey],
    inputs: AugmentInputs,
    options: AugmentOptions,
    masks: Mapping[str, Path] | None,
    folder: Path,
) -> Plan:
    """Decide on all images, with masks where they will lie."""
    embedding = partial(embedding_path, inputs.embeddings) if options.learns else None
    placed = None if masks is None else {tile: folder / path.name for tile, path in masks.items()}
    return make_plan(dataset, sets, options, embedding=embedding, masks=placed)


def _masks(
    dataset: Dataset, sets: Sequence[SupportSetKey], inputs: AugmentInputs, options: AugmentOptions, folder: Path
) -> Mapping[str, Path]:
    """Write the masks of the tiles of support sets."""
    if options.mode == "text":
        raise InputError(f"{options.method} edits no tile; leave --mask out")
    assert inputs.masks is not None
    source = MaskSource.open(inputs.masks, dataset, crs=inputs.mask_crs)
    rows = pd.concat([tiles for _, tiles in tiles_of(dataset, sets)])
    return write_masks(source, rows, inputs.mask_options, folder)


def _learn(
    dataset: Dataset,
    sets: Sequence[SupportSetKey],
    inputs: AugmentInputs,
    info: BackboneInfo,
    load: Callable[[], Renderer],
    warn: Callable[[str], None],
    progress: Progress,
) -> None:
    """Have the classes learned where they are not."""
    if inputs.embeddings.exists():
        check_embeddings(inputs.embeddings, dataset, sets, info)
        return
    learn_embeddings(dataset, sets, load().backbone, inputs.inversion, inputs.embeddings, warn=warn, progress=progress)


def _render(
    folder: Path,
    plan: Plan,
    units: Sequence[EditUnit],
    renderer: Renderer,
    inputs: AugmentInputs,
    options: AugmentOptions,
    log: RunLog,
    progress: Progress,
) -> None:
    """Make units, writing each image whole and noting each unit when its images are there."""

    def write(made: tuple[EditUnit, Rendered]) -> tuple[EditUnit, Rendered]:
        unit, rendered = made
        for edit, image in zip(unit.edits, rendered.images, strict=True):
            if image is not None:
                with output_file(folder / f"{edit.id}{SUFFIX}") as partial_file:
                    partial_file.write_bytes(encode_png(image))
        return made

    drawn = time.monotonic()
    with (
        progress("making tiles", sum(len(unit.edits) for unit in units)) as advance,
        _renders(units, renderer, inputs, options) as results,
        ThreadPoolExecutor(1) as writer,  # while the device makes the next ones
    ):
        for unit, rendered in stream_map(writer, write, results, in_flight=IN_FLIGHT):
            ids = [edit.id for edit in unit.edits]
            blanked = [name for name, image in zip(ids, rendered.images, strict=True) if image is None]
            log.add(ids, blanked, rendered.redone_in_float32)
            advance(len(ids))
            if time.monotonic() - drawn > SHEET_SECONDS:
                _draw(folder, _made(plan, log.done - log.blanked), plan.sources)
                drawn = time.monotonic()


@contextmanager
def _renders(
    units: Sequence[EditUnit], renderer: Renderer, inputs: AugmentInputs, options: AugmentOptions
) -> Iterator[Iterator[tuple[EditUnit, Rendered]]]:
    """Yield what makes units, on one device or on several."""
    if len(inputs.devices) == 1:
        yield render_here(units, renderer)
        return
    renderer.backbone.leave_device()  # a process of its own wants it now
    with process_pool(inputs.backbone, options.render, inputs.devices) as pool:
        yield render_on(pool, units, in_flight=IN_FLIGHT * len(inputs.devices))


def _draw(folder: Path, rows: pd.DataFrame, sources: Mapping[str, Path]) -> None:
    if len(rows):
        write_contact_sheet(rows, folder, folder / SHEET, sources=sources)


def _finished(folder: Path, plan: Plan, options: AugmentOptions, log: RunLog, backbone: BackboneInfo) -> pd.DataFrame:
    """Return the manifest of what was made."""
    rows = _made(plan, log.done - log.blanked)
    if rows.empty:
        raise SpurgekitError("the safety checker kept all images back; pass other prompts or leave --safety-checker out")
    drop = np.zeros(len(rows), bool)
    if options.drop_duplicates:
        hashes = {name: perceptual_hashes(read_picture(folder / name)[None])[0] for name in rows["file_name"].unique()}
        groups = list(zip(rows["trial"], rows["n"], rows["class"], strict=True))
        drop = near_duplicates(rows["file_name"].map(hashes).to_numpy(np.uint64), groups)
    rows = rows.assign(backbone=backbone.name, weight=np.where(drop, 0.0, 1.0))
    return rows.astype({"trial": "Int64", "n": "Int64"}).reset_index(drop=True)


def _made(plan: Plan, done: Set[str]) -> pd.DataFrame:
    """Return the rows whose images are there."""
    return plan.rows[[name.removesuffix(SUFFIX) in done for name in plan.rows["file_name"]]]


def _check_room(folder: Path, estimate: CostEstimate) -> None:
    free = shutil.disk_usage(folder).free
    if estimate.bytes > free:
        raise InputError(
            f"the synthetic tiles need about {estimate.bytes / 1e6:,.0f} MB and {folder.parent} has {free / 1e6:,.0f} MB left; "
            "free some space, or pass fewer --images"
        )


def _settings(
    inputs: AugmentInputs,
    options: AugmentOptions,
    sets: Sequence[SupportSetKey],
    backbone: BackboneInfo,
    masks: Mapping[str, Path] | None,
) -> dict[str, Any]:
    """Return all that images depend on."""
    chosen = asdict(options)
    del chosen["batch_size"], chosen["compile"]
    return {
        **chosen,
        "strengths": str(options.strengths),
        "sets": [key.name for key in sets],
        "backbone": asdict(backbone),
        "precision": inputs.backbone.precision,
        "safety_checker": inputs.backbone.safety_checker,
        "files": {str(path): fingerprint(path) for path in _files(inputs, options)},
        "masks": None if masks is None else _digest(masks),
    }


def _files(inputs: AugmentInputs, options: AugmentOptions) -> list[Path]:
    files = [inputs.dataset]
    if options.learns:
        files.append(inputs.embeddings)
    return files if inputs.masks is None else [*files, inputs.masks]


def _digest(masks: Mapping[str, Path]) -> str:
    """Return what stands for all masks."""
    digest = hashlib.sha256()
    for tile, path in sorted(masks.items()):
        digest.update(tile.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
