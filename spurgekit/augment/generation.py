"""Making an ``augmented/`` folder: synthetic tiles of support sets, and their manifest."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spurgekit.augment.augment_options import AugmentOptions
from spurgekit.augment.augment_report import Announcement, AugmentReport
from spurgekit.augment.duplicates import near_duplicates, perceptual_hashes
from spurgekit.augment.embeddings import check_embeddings, embedding_path, learn_embeddings, plan_inversions
from spurgekit.augment.estimate import NOTHING, CostEstimate, measure, measure_made
from spurgekit.augment.grounds import Grounds, find_grounds
from spurgekit.augment.manifest import MANIFEST
from spurgekit.augment.mask_sources import MaskSource, encode_masks, mask_file
from spurgekit.augment.methods import METHODS
from spurgekit.augment.pasted_tiles import find_pasting, pasted_images, pasting_notes, write_pasted
from spurgekit.augment.pasting import Paste
from spurgekit.augment.plan import SUFFIX, Plan, make_plan
from spurgekit.augment.progress_sheet import write_contact_sheet
from spurgekit.augment.run_log import FILE_NAME, RunLog
from spurgekit.augment.support_sets import SupportSets, choose_sets
from spurgekit.augment.workers import pick_devices, process_pool, render_by, render_here, render_on
from spurgekit.dataset import Dataset, open_dataset
from spurgekit.diffusion.image_tensors import read_picture
from spurgekit.diffusion.render import EditUnit, Rendered, Renderer
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.errors import InputError, SpurgekitError
from spurgekit.executors import Workers, check_serves, open_workers
from spurgekit.executors.workers import DEFAULT
from spurgekit.options import within
from spurgekit.outputs import (
    check_output,
    check_resumable,
    fingerprint,
    output_file,
    output_lock,
    partial_folder,
    resolved,
    resumable_folder,
)
from spurgekit.parallel import stream_map
from spurgekit.progress import Progress, silent
from spurgekit.tiles.png import encode_png

if TYPE_CHECKING:
    from spurgekit.diffusion.latent_model import BackboneInfo

MASKS, PASTED = "masks", "pasted"
SHEET = "contact_sheet.png"
SHEET_SECONDS = 30.0
"""How often the contact sheet is drawn anew while a run goes on."""

IN_FLIGHT = 2
"""Units that are on their way: to each of several devices, and to the disk."""


def augment_dataset(
    dataset: str | Path,
    out: str | Path,
    options: AugmentOptions | None = None,
    *,
    overwrite: bool = False,
    executor: str | Workers = DEFAULT,
    announce: Callable[[Announcement], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> AugmentReport:
    """Make synthetic tiles of the training tiles of a dataset: with a diffusion model, or by cutting and pasting.

    Images of a support set are made of its own tiles, by words that were learned of them alone, so that what is trained with
    them has seen no other tile.

    Parameters
    ----------
    dataset : str or pathlib.Path
        Folder of a dataset.
    out : str or pathlib.Path
        Folder to make; one whose making was interrupted is gone on with.
    options : AugmentOptions, optional
    overwrite : bool
        Replace a folder that spurgekit made before.
    executor : str or Workers
        Who makes the images. Default: this process, or one for each of several devices. With ``processes``,
        ``dask://HOST:PORT`` or a ``FILE.toml`` of a cluster, each process loads the model; words are learned here, and a
        cluster is begun when that is done.
    announce : callable
        Told once, before the first image, how many there will be, and how long they will take.
    warn : callable
        Told what else a user should know while the run goes on.
    progress : Progress

    Returns
    -------
    AugmentReport

    Raises
    ------
    InputError
        If the dataset lacks what is asked for, options do not fit, or there is too little room on the disk.
    ModelError
        If the diffusion model cannot be had or does not fit.
    OutputExistsError
        If the folder is there already.

    Examples
    --------
    >>> options = AugmentOptions(method="real-guidance", shots=(4,), images=5)  # doctest: +SKIP
    >>> augment_dataset("dataset", "augmented", options).images  # doctest: +SKIP
    320
    """
    options, out = options or AugmentOptions(), Path(out)
    check_output(out, "synthetic tiles", overwrite=overwrite)
    opened = open_dataset(dataset)
    sets = choose_sets(opened, options.shots, options.trials, options)
    devices = pick_devices(options.device)
    if executor != DEFAULT:
        _check_shared(options)
        check_serves(executor)
    with output_lock(resolved(out)):
        # What is wrong with masks, options and settings is said before a model is loaded, let alone learns.
        masks = _masks(opened, sets, options)
        grounds = find_grounds(opened, options, options.unlabelled) if options.pastes else Grounds()
        plan = _plan(opened, sets, options, masks, grounds, partial_folder(out))
        for note in pasting_notes(plan, grounds):
            warn(note)
        info = None if options.mode is None else options.look_up(devices[0])
        options = options if info is None else options.at_commit(info)
        load = cache(lambda: Renderer(options.load(devices[0]), options.render, warn=warn))
        if options.learns and info is not None:
            _learn(opened, sets, options, info, load, warn, progress)
        files = _files(opened, options, grounds)
        settings = _settings(options, sets, info, files, masks, plan.pastes)
        check_resumable(out, "synthetic tiles", settings, inputs=files, overwrite=overwrite)
        done: Set[str] = set() if overwrite else RunLog.open(partial_folder(out)).done
        renderer = load() if info is not None and plan.left(done) else None
        with resumable_folder(
            out, "synthetic tiles", settings, inputs=files, overwrite=overwrite, scratch=[FILE_NAME]
        ) as folder:
            for tile, mask in (masks or {}).items():
                with output_file(folder / MASKS / f"{tile}.png") as partial_file:
                    partial_file.write_bytes(mask)
            log = RunLog.open(folder)
            units, resumed = plan.left(log.done), len(log.done)
            if renderer is not None:
                write_pasted(folder / PASTED, plan, units, options, progress)
            estimate = _estimate(plan, units, renderer, options)
            _check_room(folder, estimate)
            with open_workers(executor if units else DEFAULT) as workers:  # a cluster is begun when there is work for it
                workers.check_sees(folder, *files)
                estimate = estimate.shared(len(devices) if workers.in_process else workers.count())
                announce(Announcement(estimate, resumed, len(sets), out, info, options.safety_checker, tuple(devices)))
                start = time.monotonic()
                if units:
                    _render(folder, plan, units, renderer, options, devices, workers, log, progress)
                seconds = time.monotonic() - start
            shutil.rmtree(folder / PASTED, ignore_errors=True)
            rows = _finished(folder, plan, options, log, info)
            with output_file(folder / MANIFEST) as partial_file:
                rows.to_parquet(partial_file, index=False)
            _draw(folder, rows, plan.sources)
    return AugmentReport(
        folder=out,
        images=plan.images - len(log.blanked),
        resumed=resumed,
        rows=len(rows),
        in_float32=log.in_float32,
        blanked=len(log.blanked),
        duplicates=int((rows["weight"] == 0).sum()) - plan.uncovered,
        seconds=seconds,
    )


def _plan(
    dataset: Dataset,
    sets: SupportSets,
    options: AugmentOptions,
    masks: Mapping[str, bytes] | None,
    grounds: Grounds,
    folder: Path,
) -> Plan:
    """Decide on all images, with masks where they will lie."""
    embedding = partial(embedding_path, options.embeddings) if options.learns else None
    if options.pastes:
        pasting = find_pasting(dataset, sets, options, grounds)
        return make_plan(dataset, sets, options, embedding=embedding, pasting=pasting, pasted=folder / PASTED)
    placed = None if masks is None else {tile: folder / MASKS / f"{tile}.png" for tile in masks}
    return make_plan(dataset, sets, options, embedding=embedding, masks=placed)


def _masks(dataset: Dataset, sets: SupportSets, options: AugmentOptions) -> Mapping[str, bytes] | None:
    """Return where the tiles of support sets may change, if not anywhere."""
    if options.mask is None or options.pastes:
        return None
    source = MaskSource.open(options.mask, dataset, crs=options.mask_crs)
    return encode_masks(source, pd.concat(sets.values()), options)


def _estimate(plan: Plan, units: Sequence[EditUnit], renderer: Renderer | None, options: AugmentOptions) -> CostEstimate:
    """Return what units will cost on one device."""
    if not units:
        return NOTHING
    if renderer is None:
        return measure_made(partial(pasted_images, plan, feather_px=options.feather_px), units)
    return measure(renderer, units, options)


def _check_shared(options: AugmentOptions) -> None:
    """Refuse what cannot be shared out among workers."""
    if options.mode is None:
        raise InputError(f"`executor` shares out what a model makes, and `method={options.method}` has none; leave it out")
    if "," in options.device:
        raise InputError(f"`device={options.device}` names several; with an `executor`, name the one that each worker has")


def _learn(
    dataset: Dataset,
    sets: SupportSets,
    options: AugmentOptions,
    info: BackboneInfo,
    load: Callable[[], Renderer],
    warn: Callable[[str], None],
    progress: Progress,
) -> None:
    """Have the classes learned where they are not."""
    if options.embeddings.exists():
        check_embeddings(options.embeddings, dataset, sets, info)
        return
    with within("inversion", InversionOptions):
        plan_inversions(dataset, sets, options.inversion)  # says what is wrong before the model is loaded
        learn_embeddings(dataset, sets, load().backbone, options.inversion, options.embeddings, warn=warn, progress=progress)


def _render(
    folder: Path,
    plan: Plan,
    units: Sequence[EditUnit],
    renderer: Renderer | None,
    options: AugmentOptions,
    devices: Sequence[str],
    workers: Workers,
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
        _renders(plan, units, renderer, options, devices, workers) as results,
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
    plan: Plan,
    units: Sequence[EditUnit],
    renderer: Renderer | None,
    options: AugmentOptions,
    devices: Sequence[str],
    workers: Workers,
) -> Iterator[Iterator[tuple[EditUnit, Rendered]]]:
    """Yield what makes units: without a model, by workers, on one device, or on several."""
    method = METHODS[options.method]
    if renderer is None:
        yield ((unit, pasted_images(plan, unit, options.feather_px)) for unit in units)
        return
    if not workers.in_process:
        renderer.backbone.leave_device()
        yield render_by(workers, units, options, options.render, method)
        return
    if len(devices) == 1:
        yield render_here(units, renderer, method)
        return
    renderer.backbone.leave_device()  # a process of its own wants it now
    with process_pool(options, options.render, method, devices) as pool:
        yield render_on(pool, units, in_flight=IN_FLIGHT * len(devices))


def _draw(folder: Path, rows: pd.DataFrame, sources: Mapping[str, Path]) -> None:
    if len(rows):
        write_contact_sheet(rows, folder, folder / SHEET, sources=sources)


def _finished(folder: Path, plan: Plan, options: AugmentOptions, log: RunLog, backbone: BackboneInfo | None) -> pd.DataFrame:
    """Return the manifest of what was made."""
    rows = _made(plan, log.done - log.blanked)
    if rows.empty:
        raise SpurgekitError("the safety checker kept all images back; pass other `prompts` or leave `safety_checker` out")
    drop = np.zeros(len(rows), bool)
    if options.drop_duplicates:
        hashes = {name: perceptual_hashes(read_picture(folder / name)[None])[0] for name in rows["file_name"].unique()}
        groups = list(zip(rows["fold"], rows["trial"], rows["n"], rows["class"], strict=True))
        drop = near_duplicates(rows["file_name"].map(hashes).to_numpy(np.uint64), groups)
    name = None if backbone is None else backbone.name
    rows = rows.assign(backbone=name, weight=rows["weight"].where(~drop, 0.0))
    return rows.astype({"trial": "Int64", "n": "Int64", "fold": "string"}).reset_index(drop=True)


def _made(plan: Plan, done: Set[str]) -> pd.DataFrame:
    """Return the rows whose images are there."""
    return plan.rows[[name.removesuffix(SUFFIX) in done for name in plan.rows["file_name"]]]


def _check_room(folder: Path, estimate: CostEstimate) -> None:
    free = shutil.disk_usage(folder).free
    if estimate.bytes > free:
        raise InputError(
            f"the synthetic tiles need about {estimate.bytes / 1e6:,.0f} MB and {folder.parent} has {free / 1e6:,.0f} MB left; "
            "free some space, or pass fewer `images`"
        )


SAID_OTHERWISE = frozenset((
    "shots", "trials", "backbone", "revision", "lora", "unet", "device", "embeddings", "inversion", "batch_size", "compile",
    "unlabelled",
))  # fmt: skip
"""Options of which settings say more (the sets, the model, the files), or on which no image depends."""


def _settings(
    options: AugmentOptions,
    sets: SupportSets,
    backbone: BackboneInfo | None,
    files: Sequence[Path],
    masks: Mapping[str, bytes] | None,
    pastes: Mapping[str, Paste],
) -> dict[str, Any]:
    """Return all that images depend on."""
    return {
        **{name: value for name, value in options.parameters().items() if name not in SAID_OTHERWISE},
        "strengths": str(options.schedule),
        "sets": [key.name for key in sets],
        "backbone": None if backbone is None else asdict(backbone),
        "files": {str(path): fingerprint(path) for path in files},
        "mask": None if masks is None else _digest(masks),
        "pasted": _digest({name: repr(one).encode() for name, one in pastes.items()}) if pastes else None,
    }


def _files(dataset: Dataset, options: AugmentOptions, grounds: Grounds) -> list[Path]:
    embeddings = options.embeddings if options.learns else None
    return [path for path in (dataset.path, embeddings, mask_file(options.mask), grounds.folder) if path is not None]


def _digest(masks: Mapping[str, bytes]) -> str:
    """Return what stands for all masks, or what is pasted."""
    digest = hashlib.sha256()
    for tile, mask in sorted(masks.items()):
        digest.update(tile.encode() + b"\0" + mask)
    return digest.hexdigest()
