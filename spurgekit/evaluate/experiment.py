"""``spurgekit evaluate``: a grid of arms, shots, trials and folds, each cell trained and tested by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from spurgekit.classify.arms import Arm, parse_arm, parse_arms
from spurgekit.classify.probe_samples import ProbeUnit, SupportSet, describe, probe_unit
from spurgekit.classify.recipes import predict, train_arm
from spurgekit.classify.setup import ArmOptions, Setup, set_up
from spurgekit.classify.training_tiles import ExtraTiles
from spurgekit.dataset import Dataset, open_dataset
from spurgekit.dataset.few_shot import ALL_SHOTS, SHOTS, TRIALS, ascending
from spurgekit.errors import InputError
from spurgekit.evaluate.analysis import analyse
from spurgekit.evaluate.cell_store import PREDICTIONS, CellStore, Key
from spurgekit.evaluate.folds import Fold, check_classes, held_out_split, leave_out
from spurgekit.evaluate.report import write_report
from spurgekit.outputs import PROVENANCE, SETTINGS, check_free, fingerprint, output_folder
from spurgekit.parallel import cores, stream_map
from spurgekit.progress import Progress, silent

DEFAULT_ARMS = ("plain", "probe", "probe+dihedral", "probe+randaugment", "probe+cutmix", "probe+mixup")
IN_FLIGHT = 8


@dataclass(frozen=True, slots=True)
class EvaluateOptions(ArmOptions):
    """What to compare; see :class:`~spurgekit.classify.setup.ArmOptions` for the rest.

    Attributes
    ----------
    arms : tuple of str
        Arms; see :mod:`spurgekit.classify.arms`.
    shots : tuple of int
        Tiles a class; ``ALL_SHOTS`` for the whole training split.
    trials : int
        Support sets of each number of shots.
    baseline : str, optional
        The arm that others are held against; by default the first.
    leave_out : str, optional
        Column of which each place is held out in turn, in place of the dataset's own test split.
    metric : str
        That the curves and the table show.
    resolve : float
        The difference that the design ought to resolve.
    confidence : float
        Of intervals.
    """

    arms: tuple[str, ...] = DEFAULT_ARMS
    shots: tuple[int, ...] = SHOTS
    trials: int = TRIALS
    baseline: str | None = None
    leave_out: str | None = None
    metric: str = "balanced_accuracy"
    resolve: float = 0.02
    confidence: float = 0.95

    def __post_init__(self) -> None:
        ArmOptions.__post_init__(self)
        if self.trials < 1 or not self.shots or min(self.shots) < 0:
            raise InputError(f"{self.trials} trials of {self.shots or 'no'} shots cannot be; pass positive numbers, or all")
        arms = [str(arm) for arm in parse_arms(self.arms)]
        if self.baseline is not None and str(parse_arm(self.baseline)) not in arms:
            raise InputError(f"--baseline {self.baseline} is none of the arms {', '.join(arms)}")


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
    """

    folder: Path
    cells: int
    resumed: int
    summary: pd.DataFrame
    differences: pd.DataFrame
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProbeCell:
    """A cell whose backbone is frozen, as arrays alone.

    Attributes
    ----------
    key : Key
    unit : ProbeUnit
    test : ndarray, shape (n, d)
        What is known of the test tiles.
    """

    key: Key
    unit: ProbeUnit
    test: NDArray[np.float64]

    def run(self) -> NDArray[np.float32]:
        """Return class probabilities of the test tiles, shape (n, classes)."""
        return np.asarray(softmax(self.unit.solve().logits(self.test), axis=1), np.float32)


def evaluate(
    dataset: Path,
    out: Path,
    options: EvaluateOptions = EvaluateOptions(),
    *,
    overwrite: bool = False,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> EvaluateReport:
    """Train and test every arm on the same support sets, and report what differs.

    Cells that are done are kept in a hidden folder beside ``out`` until all are: a run that was stopped goes on there. An
    ``out`` that was made with the same settings is gone on with, too: arms, shots and trials can be added.

    Parameters
    ----------
    dataset : pathlib.Path
    out : pathlib.Path
        Folder to make: ``report.md``, ``curves.png``, ``results.parquet``, ``predictions.parquet`` and more.
    executor : concurrent.futures.Executor, optional
        Fits the classifiers of frozen backbones; by default as many threads as there are cores.

    Raises
    ------
    ModelError
        If the backbone or its weights cannot be had.
    InputError
        If the dataset does not serve.
    """
    data = open_dataset(dataset)
    arms = parse_arms(options.arms)
    extra_tiles = ExtraTiles.open(data, options.folders, options.mixing)
    for arm in arms:
        extra_tiles.check(arm)
    if options.leave_out is None:
        folds = held_out_split(data, options.shots, options.trials)
    else:
        folds = leave_out(data, options.leave_out, options.shots, options.trials)
    check_classes(folds, data.info.classes)
    setup = set_up(options, data.split("train"), progress)
    if not (out / SETTINGS).is_file():
        check_free(out, overwrite=overwrite)
    cells = CellStore(out, _settings(data, setup, options))
    done = cells.open(overwrite=overwrite)
    plan = _plan(arms, options, folds)
    resumed = sum(key in done for key in plan)
    runner = _Runner(setup, extra_tiles, {fold.name: fold for fold in folds}, options, cells, executor, progress)
    done.update(runner.run([key for key in plan if key not in done]))
    predictions = pd.concat([done[key] for key in plan], ignore_index=True)
    with output_folder(out, overwrite=True, inputs=options.inputs(dataset)) as folder:
        predictions.to_parquet(folder / PREDICTIONS, index=False)
        (folder / SETTINGS).write_bytes((cells.folder / SETTINGS).read_bytes())
        found = analyse(
            predictions, data.info.classes,
            baseline=str(parse_arm(options.baseline or options.arms[0])),
            metric=options.metric, resolve=options.resolve, confidence=options.confidence,
        )  # fmt: skip
        write_report(folder, found)
        options.write_provenance(folder, dataset, setup.name)
    cells.close()
    return EvaluateReport(Path(out), len(plan), resumed, found.summary, found.differences, tuple(found.warnings))


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


def _settings(data: Dataset, setup: Setup, options: EvaluateOptions) -> Mapping[str, Any]:
    """Return what a cell's predictions depend on, beside arm, shots, trial and fold."""
    files = {"dataset": data.path / PROVENANCE, "train": data.path / "train" / "metadata.csv"}
    files |= {"test": data.path / "test" / "metadata.csv", "support sets": data.path / "few_shot.parquet"}
    if options.weights is not None:
        weights = options.weights
        files["weights"] = weights / "model.safetensors" if weights.is_dir() else weights
    for name, folder in options.folders.items():
        files[f"synthetic tiles {name}".rstrip()] = folder / "manifest.parquet"
    return {
        **{name: fingerprint(path) for name, path in files.items()},
        "backbone": setup.name,
        "backbone options": dict(setup.options.backbone_options),
        "image size": setup.size_px,
        "mean and std": [setup.mean, setup.std],
        "pretrained": options.pretrained,
        "precision": str(options.precision),
        "seed": options.seed,
        "leave out": options.leave_out,
        "mixing": options.mixing,
        "finetuning": str(options.finetuning),
    }


class _Runner:
    """Runs cells: those of frozen backbones through an executor, those that are trained in steps one after the other."""

    def __init__(
        self,
        setup: Setup,
        extra_tiles: ExtraTiles,
        folds: Mapping[str, Fold],
        options: EvaluateOptions,
        cells: CellStore,
        executor: Executor | None,
        progress: Progress,
    ) -> None:
        self.setup, self.extra_tiles, self.folds, self.options = setup, extra_tiles, folds, options
        self.cells, self.executor, self.progress = cells, executor, progress
        self.store = setup.store(progress)

    def run(self, keys: Sequence[Key]) -> Iterator[tuple[Key, pd.DataFrame]]:
        """Yield each cell's predictions as it is done."""
        frozen = [key for key in keys if parse_arm(key.arm).is_frozen]
        self._prepare(frozen)
        with self.progress("evaluating", len(keys)) as advance:
            for key, probabilities in self._run_frozen(frozen):
                yield key, self.cells.put(key, self._table(key, probabilities))
                advance(1)
            for key in keys:
                if not parse_arm(key.arm).is_frozen:
                    yield key, self.cells.put(key, self._table(key, self._run_finetuned(key)))
                    advance(1)

    def _prepare(self, keys: Sequence[Key]) -> None:
        """Extract the features that all cells share, in one go."""
        for recipe in {parse_arm(key.arm).recipe for key in keys}:
            folds = [self.folds[name] for name in {key.fold for key in keys}]
            tiles = pd.concat([part for fold in folds for part in (fold.test, fold.train)])
            describe(self.store, tiles.drop_duplicates("tile_id"), recipe)

    def _run_frozen(self, keys: Sequence[Key]) -> Iterator[tuple[Key, NDArray[np.float32]]]:
        def units() -> Iterator[ProbeCell]:
            for key in keys:
                arm, fold = parse_arm(key.arm), self.folds[key.fold]
                support = self._support(key)
                yield ProbeCell(key, probe_unit(self.store, support, arm), describe(self.store, fold.test, arm.recipe))

        if self.executor is not None:
            yield from zip(keys, stream_map(self.executor, ProbeCell.run, units(), in_flight=IN_FLIGHT), strict=True)
            return
        # Many small problems: threads within one would wait for each other. The limit holds for the whole process.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(cores()) as threads:
            yield from zip(keys, stream_map(threads, ProbeCell.run, units(), in_flight=IN_FLIGHT), strict=True)

    def _run_finetuned(self, key: Key) -> NDArray[np.float32]:
        trained = train_arm(self.setup, self.store, self._support(key), parse_arm(key.arm), self.options.finetuning)
        return predict(self.setup, trained, self.folds[key.fold].test)

    def _support(self, key: Key) -> SupportSet:
        fold = self.folds[key.fold]
        tiles = fold.support(key.n, key.trial)
        return self.extra_tiles.gather(self.store, tiles, parse_arm(key.arm), n=key.n, trial=key.trial, seed=self.options.seed)

    def _table(self, key: Key, probabilities: NDArray[np.float32]) -> pd.DataFrame:
        test = self.folds[key.fold].test
        table = pd.DataFrame({"tile_id": test["tile_id"], "place": test["group"], "target": test["target"]})
        return table.assign(**{f"p{i}": column for i, column in enumerate(probabilities.T)})
