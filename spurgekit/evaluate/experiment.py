"""``spurgekit evaluate``: a grid of arms, shots, trials and folds, each cell trained and tested by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from spurgekit.classify.arms import EDITION, Arm, parse_arm, parse_arms
from spurgekit.classify.calibration import Vector
from spurgekit.classify.feature_units import NamedExtractor, RemoteExtractor
from spurgekit.classify.offline_weights import SOURCE
from spurgekit.classify.probe import Probe
from spurgekit.classify.probe_samples import (
    ProbeUnit,
    SupportSet,
    copies_are_shared,
    copy_features,
    probe_unit,
    tile_features,
)
from spurgekit.classify.recipes import (
    TrainingTask,
    calibrated_probabilities,
    calibration_by,
    left_out_logits,
    probabilities_of,
    tile_logits,
    train_arm,
)
from spurgekit.classify.setup import Setup, set_up
from spurgekit.classify.site_shift import SiteShift, log_odds_of, shift_without_labels
from spurgekit.classify.training_tiles import ExtraTiles
from spurgekit.dataset import Dataset, open_dataset
from spurgekit.dataset.few_shot import FILE_NAME as FEW_SHOT
from spurgekit.dataset.folds import Fold, check_classes, folds_of
from spurgekit.dataset.shots import ALL_SHOTS, ascending
from spurgekit.errors import InputError
from spurgekit.evaluate.analysis import analyse
from spurgekit.evaluate.cell_store import PREDICTIONS, CellStore, Key
from spurgekit.evaluate.evaluate_options import EvaluateOptions
from spurgekit.evaluate.report import write_report
from spurgekit.executors import Workers, open_workers
from spurgekit.executors.workers import DEFAULT
from spurgekit.outputs import (
    PROVENANCE,
    SETTINGS,
    check_output,
    fingerprint,
    note_settings,
    output_folder,
    output_lock,
    resolved,
)
from spurgekit.progress import Progress, silent

BACKBONE = "backbone.safetensors"
"""Beside the cells, for workers of other processes: the backbone's weights."""

NOT_OF_CELLS = frozenset(
    ("arms", "baseline", "shots", "trials", "synthetic", "metric", "resolve", "confidence", "batch_size", "device")
)
"""Options that the predictions of a cell do not depend on: its key says them, or fingerprints of files do, or they are about
what is shown of predictions, or about the machine. Any other must be the same for an evaluation to go on."""


@dataclass(frozen=True, slots=True)
class EvaluateReport:
    """What an evaluation found.

    Attributes
    ----------
    folder : pathlib.Path
    cells, resumed : int
        All cells, and those that were there already.
    summary, differences : pandas.DataFrame
        Means with intervals, and paired differences against the baseline.
    warnings : tuple of str
        What is to be said of it, ``notes`` among that.
    notes : tuple of str
        What is to be said of the backbone and of the tiles.
    """

    folder: Path
    cells: int
    resumed: int
    summary: pd.DataFrame
    differences: pd.DataFrame
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FitCells:
    """Fits and calibrates classifiers; what they are tested on stays with the caller, so that it travels with no unit.

    Attributes
    ----------
    calibration : {"temperature", "vector", "none"}
    alone : bool
        Whether a process does nothing else, and is to sum in one thread from now on.
    """

    calibration: Literal["temperature", "vector", "none"]
    alone: bool

    def __call__(self, unit: ProbeUnit) -> tuple[Probe, float | Vector | None]:
        """Return a classifier, and what its logits are calibrated with."""
        if self.alone:
            _one_thread()
        probe = unit.fit()
        return probe, calibration_by(left_out_logits(probe, unit.targets, unit.groups), self.calibration)


@cache
def _one_thread() -> None:
    """Have this process sum in one thread for as long as it lives, as evaluations do anywhere."""
    threadpool_limits(1, user_api="blas")


def evaluate_arms(
    dataset: str | Path,
    out: str | Path,
    options: EvaluateOptions | None = None,
    *,
    overwrite: bool = False,
    executor: str | Workers = DEFAULT,
    setup: Setup | None = None,
    progress: Progress = silent,
) -> EvaluateReport:
    """Train and test every arm on the same support sets, and report what differs.

    Cells that are done are kept in a hidden folder beside ``out`` until all are: a run that was stopped goes on there. An
    ``out`` that was made with the same settings is gone on with, too: arms, shots and trials can be added.

    Parameters
    ----------
    dataset : str or pathlib.Path
        Folder that :func:`spurgekit.build_dataset` made.
    out : str or pathlib.Path
        Folder to make: ``report.md``, ``curves.png``, ``results.parquet``, ``predictions.parquet`` and more.
    options : EvaluateOptions, optional
    overwrite : bool
        Begin anew, and replace the evaluation that is in the folder. Files of others in it stay.
    executor : str or Workers
        Who extracts features of frozen backbones and fits classifiers to them: ``threads`` or ``processes`` of this machine,
        ``dask://HOST:PORT``, or a ``FILE.toml`` of a cluster. Copies are mixed and backbones trained here.
    setup : Setup, optional
        What the same options and dataset were evaluated with before: tiles of the dataset that are known are not looked at
        again.
    progress : Progress
        Told how far it is; :func:`spurgekit.progress.bar` shows a bar on a terminal.

    Returns
    -------
    EvaluateReport
        With means and paired differences as tables.

    Raises
    ------
    OutputExistsError
        If the folder is there already and not of an evaluation.
    ModelError
        If the backbone or its weights cannot be had.
    InputError
        If the dataset or the options do not serve, or the folder was begun with other settings.

    Examples
    --------
    >>> import spurgekit
    >>> options = spurgekit.EvaluateOptions(arms=["plain", "probe", "probe+cutmix"], shots=[1, 4], trials=8)
    >>> report = spurgekit.evaluate_arms("dataset", "evaluation", options)  # doctest: +SKIP
    >>> report.summary[["arm", "n", "mean", "low", "high"]]  # doctest: +SKIP
    """
    options = options or EvaluateOptions()
    dataset, out = Path(dataset), Path(out)
    data = open_dataset(dataset)
    arms = parse_arms(options.arms)
    extra_tiles = ExtraTiles.open(data, options.folders, options.mixing, options.unlabelled)
    folds = folds_of(data, options, options.shots, options.trials)
    check_classes(folds, data.info.classes)
    if len(data.info.classes) != 2 and (moved := [arm for arm in arms if arm.has("adapt")]):
        raise InputError(
            f"the arm {moved[0]} moves the threshold between two classes, and {data.path} has others; leave it out"
        )
    said = extra_tiles.check(arms, folds)
    setup = setup or set_up(options, folds[0].train, progress)
    inputs, parameters = options.inputs(dataset), {**options.parameters(), "backbone": setup.name}
    with output_lock(resolved(out)):
        goes_on = (out / SETTINGS).is_file()
        check_output(out, "evaluation", inputs=inputs, overwrite=overwrite or goes_on, keep=True)
        cells = CellStore(out, _settings(data, setup, options))
        done = cells.open(overwrite=overwrite)
        plan = _plan(arms, options, folds)
        left = [key for key in plan if key not in done]
        resumed = len(plan) - len(left)
        left_folds = {key.fold for key in left}
        with open_workers(executor if left else DEFAULT) as workers:
            workers.check_sees(*(path for path in inputs if path != options.weights))  # those come with the cells
            for own, alike in _normalised(setup, [fold for fold in folds if fold.name in left_folds], progress):
                runner = _Runner(own, extra_tiles, {fold.name: fold for fold in alike}, options, cells, workers, progress)
                done.update(runner.run([key for key in left if key.fold in runner.folds]))
                if len(folds) == 1 or not setup.by_tiles:  # else there are as many features of a tile as folds
                    runner.store.keep(but={str(path) for rows in extra_tiles.synthetic.values() for path in rows["path"]})
        predictions = pd.concat([done[key] for key in plan], ignore_index=True)
        with output_folder(out, "evaluation", parameters=parameters, inputs=inputs, overwrite=True, keep=True) as folder:
            predictions.to_parquet(folder / PREDICTIONS, index=False)
            note_settings(folder / SETTINGS, cells.settings)
            found = analyse(
                predictions, data.info.classes, support_tiles(((key.n, key.trial) for key in plan), folds),
                baseline=str(parse_arm(options.baseline or options.arms[0])),
                metric=options.metric, resolve=options.resolve, confidence=options.confidence,
            )  # fmt: skip
            notes = (*setup.notes, *said, *_transductive(arms, options))
            found = replace(found, warnings=(*notes, *found.warnings))
            write_report(folder, found)
        cells.close()
    return EvaluateReport(Path(out), len(plan), resumed, found.summary, found.differences, found.warnings, notes)


def _plan(arms: Sequence[Arm], options: EvaluateOptions, folds: Sequence[Fold]) -> list[Key]:
    """Return all cells. The whole training split is one trial."""
    shots = ascending(options.shots)
    return [
        Key(str(arm), n, trial, fold.name)
        for arm in arms
        for n in shots
        for trial in range(1 if n == ALL_SHOTS else options.trials)
        for fold in folds
    ]


def _normalised(setup: Setup, folds: Sequence[Fold], progress: Progress) -> Iterator[tuple[Setup, Sequence[Fold]]]:
    """Yield what folds start from: one setup for all, or where tiles are normalised by those learned from, one for each.

    The backbone is the same; each setup has a store of its own, so that features of two normalisations never meet.
    """
    if not setup.by_tiles:
        yield setup, folds
        return
    for fold in folds:
        yield setup.normalised_by(fold.train, progress), [fold]


def support_tiles(keys: Iterable[tuple[int, int]], folds: Sequence[Fold]) -> dict[tuple[int, int], tuple[frozenset[str], ...]]:
    """Return which tiles trials learn from on each fold, by shots and trial."""
    return {key: tuple(frozenset(fold.support(*key)["tile_id"]) for fold in folds) for key in dict.fromkeys(keys)}


def split_files(data: Dataset) -> dict[str, Path]:
    """Return the files that say which tiles a dataset has on either side, and which are in its support sets."""
    files = {name: data.path / name / "metadata.csv" for name in ("train", "test")}
    return {**files, "support sets": data.path / FEW_SHOT}


def _settings(data: Dataset, setup: Setup, options: EvaluateOptions) -> Mapping[str, Any]:
    """Return what a cell's predictions depend on, beside arm, shots, trial and fold."""
    files = split_files(data)
    if (data.path / PROVENANCE).is_file():
        files["dataset"] = data.path / PROVENANCE
    if options.weights is not None:
        weights = options.weights
        files["weights"] = weights / "model.safetensors" if weights.is_dir() else weights
    for name, folder in options.folders.items():
        files[f"synthetic tiles {name}".rstrip()] = folder / "manifest.parquet"
    resolved: dict[str, Any] = {"backbone": setup.name, "image_size_px": setup.size_px, "mean": setup.mean, "std": setup.std}
    if setup.weights == SOURCE:
        resolved["weights"] = SOURCE
    kept = {name: value for name, value in options.parameters().items() if name not in NOT_OF_CELLS}
    return {**kept, **{name: fingerprint(path) for name, path in files.items()}, **resolved, "recipes": EDITION}


def _transductive(arms: Sequence[Arm], options: EvaluateOptions) -> list[str]:
    """Return a sentence on arms that look at the tiles that they are tested on, where there are some."""
    looking = [str(arm) for arm in arms if arm.has("adapt") or arm.spreads_labels]
    if not options.transductive or not looking:
        return []
    return [f"Transductive: {', '.join(looking)} looked at the tiles that were tested, without their labels."]


def _adapted(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities of two classes with the threshold moved as 'map --adapt site' would on the tiles that are tested."""
    shift = shift_without_labels(log_odds_of(probabilities))
    return SiteShift(shift, "the tiles that are tested", len(probabilities)).apply(probabilities)


class _Runner:
    """Runs cells: those of frozen backbones by workers, those that are trained in steps one after the other."""

    def __init__(
        self,
        setup: Setup,
        extra_tiles: ExtraTiles,
        folds: Mapping[str, Fold],
        options: EvaluateOptions,
        cells: CellStore,
        workers: Workers,
        progress: Progress,
    ) -> None:
        self.setup, self.extra_tiles, self.folds, self.options = setup, extra_tiles, folds, options
        self.cells, self.workers, self.progress = cells, workers, progress
        self.store = setup.store(progress, self._remote())

    def run(self, keys: Sequence[Key]) -> Iterator[tuple[Key, pd.DataFrame]]:
        """Yield each cell's predictions as it is done."""
        frozen = [key for key in keys if parse_arm(key.arm).recipe.is_frozen]
        self._prepare(frozen)
        with self.progress("evaluating", len(keys)) as advance:
            for key, probabilities in self._run_frozen(frozen):
                yield key, self.cells.put(key, self._table(key, probabilities))
                advance(1)
            for key in keys:
                if not parse_arm(key.arm).recipe.is_frozen:
                    yield key, self.cells.put(key, self._table(key, self._run_finetuned(key)))
                    advance(1)

    def _remote(self) -> RemoteExtractor | None:
        """Return what extracts features elsewhere; None where this process does."""
        if self.workers.in_process:
            return None
        named = NamedExtractor.of(self.setup, self.cells.folder / BACKBONE)
        self.workers.check_sees(named.weights)
        return RemoteExtractor(self.workers, named)

    def _prepare(self, keys: Sequence[Key]) -> None:
        """Extract the features that cells share, in one go."""
        folds = [self.folds[name] for name in {key.fold for key in keys}]
        for recipe in {parse_arm(key.arm).recipe for key in keys}:
            tiles = pd.concat([part for fold in folds for part in (fold.test, fold.train)])
            tile_features(self.store, tiles.drop_duplicates("tile_id"), recipe)
        for arm in map(parse_arm, dict.fromkeys(key.arm for key in keys)):
            if copies_are_shared(arm):
                support = [self.folds[key.fold].support(key.n, key.trial) for key in keys if key.arm == str(arm)]
                copy_features(self.store, pd.concat(support).drop_duplicates("tile_id"), arm)

    def _run_frozen(self, keys: Sequence[Key]) -> Iterator[tuple[Key, NDArray[np.float32]]]:
        sent: deque[ProbeUnit] = deque()

        def units() -> Iterator[ProbeUnit]:
            for key in keys:
                unit = probe_unit(self.store, self._support(key), parse_arm(key.arm))
                sent.append(unit)
                yield unit.shrunk()

        tested = cache(lambda fold, recipe: tile_features(self.store, self.folds[fold].test, recipe))
        fitting = FitCells(self.options.calibration, alone=not self.workers.in_process)
        # Many small problems: threads within one would wait for each other. The limit holds for the whole process.
        with threadpool_limits(1, user_api="blas"):
            for key, (probe, calibration) in zip(keys, self.workers.stream(fitting, units()), strict=True):
                arm = parse_arm(key.arm)
                probe = sent.popleft().of_features(probe)
                found = probabilities_of(probe.logits(tested(key.fold, arm.recipe)), calibration)
                yield key, _adapted(found) if arm.has("adapt") else found

    def _run_finetuned(self, key: Key) -> NDArray[np.float32]:
        task = TrainingTask(self.setup, self.store, self._support(key), parse_arm(key.arm), self.options.finetuning)
        trained = train_arm(task)
        logits = tile_logits(self.setup, trained, self.folds[key.fold].test)
        found = calibrated_probabilities(logits, trained.held_out, self.options.calibration)
        return _adapted(found) if task.arm.has("adapt") else found

    def _support(self, key: Key) -> SupportSet:
        fold = self.folds[key.fold]
        tiles = fold.support(key.n, key.trial)
        return self.extra_tiles.gather(
            self.store, tiles, parse_arm(key.arm), fold=fold, n=key.n, trial=key.trial, seed=self.options.seed,
            transductive=self.options.transductive,
        )  # fmt: skip

    def _table(self, key: Key, probabilities: NDArray[np.float32]) -> pd.DataFrame:
        test = self.folds[key.fold].test
        named = {f"p{i}": column for i, column in enumerate(probabilities.T)}
        return pd.DataFrame({"tile_id": test["tile_id"], "place": test["group"], "target": test["target"], **named})
