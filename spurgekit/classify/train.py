"""``spurgekit train``: a dataset in, a model folder out, tested on the places that were held out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spurgekit.classify.applicability import MOST_TILES, Applicability, write_applicability
from spurgekit.classify.arms import Arm, parse_arm
from spurgekit.classify.calibration import calibrate
from spurgekit.classify.classifier import TileClassifier, save_model
from spurgekit.classify.cover import calibrate_cover, check_cover, cover_rows
from spurgekit.classify.held_out import UNCLEAR, HeldOutTiles, probability_columns
from spurgekit.classify.label_spreading import MOST_SHOTS
from spurgekit.classify.model_card import write_card
from spurgekit.classify.model_files import PREDICTIONS, RELIABILITY
from spurgekit.classify.model_info import Calibration, HeldOut, ModelInfo
from spurgekit.classify.recipes import Trained, TrainingTask, train_arm
from spurgekit.classify.reliability import write_cover_reliability, write_reliability
from spurgekit.classify.setup import Setup, set_up
from spurgekit.classify.stac_item import training_extent, write_stac_item
from spurgekit.classify.testing import score_tiles
from spurgekit.classify.tile_reader import batches
from spurgekit.classify.train_options import TrainOptions
from spurgekit.classify.training_tiles import ExtraTiles
from spurgekit.dataset import Dataset, open_dataset
from spurgekit.dataset.few_shot import support_rows
from spurgekit.dataset.folds import Fold, own_split
from spurgekit.dataset.places import place_ground_m2
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.dihedral import VIEW_COUNTS
from spurgekit.errors import InputError
from spurgekit.outputs import hidden_beside, output_folder, resolved
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of
from spurgekit.tables import csv_of
from spurgekit.text import counted


def train_model(
    dataset: str | Path,
    out: str | Path,
    options: TrainOptions | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> ModelInfo:
    """Train a model and test it once, on the places that were held out.

    Parameters
    ----------
    dataset : str or pathlib.Path
        Folder that :func:`spurgekit.build_dataset` made.
    out : str or pathlib.Path
        Model folder to make: ``model.safetensors``, ``model.json``, ``test_predictions.csv``, ``reliability.png``, a model
        card, ``config.json`` for timm and ``model.stac.json`` for catalogues. It appears only when all is done; training in
        steps that was stopped goes on where it was.
    options : TrainOptions, optional
    overwrite : bool
        Replace a folder that spurgekit made before.
    progress : Progress
        Told how far it is; :func:`spurgekit.progress.bar` shows a bar on a terminal.

    Returns
    -------
    ModelInfo
        With its scores on the test split.

    Raises
    ------
    OutputExistsError
        If the folder is there already.
    ModelError
        If the backbone or its weights cannot be had.
    InputError
        If the dataset or the options do not serve.

    Examples
    --------
    >>> import spurgekit
    >>> options = spurgekit.TrainOptions(arm="probe+cutmix", shots=16, backbone="resnet18")
    >>> info = spurgekit.train_model("dataset", "models/probe", options)  # doctest: +SKIP
    >>> info.held_out.balanced_accuracy  # doctest: +SKIP
    0.917
    """
    options = options or TrainOptions()
    dataset, out = Path(dataset), Path(out)
    data = open_dataset(dataset)
    arm = parse_arm(options.arm)
    fold = _split(data)
    train, test = fold.train, fold.test
    extra_tiles = ExtraTiles.open(data, options.folders, options.mixing, options.unlabelled)
    few = options.shots != ALL_SHOTS or int(train["target"].value_counts().min()) <= MOST_SHOTS
    said = extra_tiles.check([arm], [fold], few=few)
    min_cover = check_cover(data) if options.target == "cover" else None
    setup = set_up(options, train, progress)
    tiles = train if options.shots == ALL_SHOTS else _few(data, train, options.shots, options.trial)
    learned, notes = tiles, (*setup.notes, *said)
    if min_cover is not None:
        more = [_unclear(data, "train")] if options.shots == ALL_SHOTS else []
        learned, left_out = cover_rows(pd.concat([tiles, *more], ignore_index=True), min_cover, dataset)
        notes = (*notes, *left_out)
    if arm.recipe.needs_masks:
        learned = _with_masks(data, learned)
    inputs = options.inputs(dataset)
    parameters = {**options.parameters(), "backbone": setup.name}
    with output_folder(out, "model", parameters=parameters, inputs=inputs, overwrite=overwrite) as folder:
        store = setup.store(progress)
        support = extra_tiles.gather(store, learned, arm, fold=fold, n=options.shots, trial=options.trial, seed=options.seed)
        checkpoint = hidden_beside(resolved(out), "checkpoint.safetensors")
        trained = train_arm(TrainingTask(setup, store, support, arm, options.finetuning, checkpoint, progress))
        info = _describe(data, arm, setup, trained, tiles, target=options.target, notes=notes)
        info = _calibrate(info, trained, options.calibration)
        tested = pd.concat([test, _unclear(data, "test")], ignore_index=True)
        looked_through = partial(TileClassifier, precision=setup.options.precision)  # as features were that it learned from
        model = looked_through(info, trained.network.model, setup.preprocess.device)
        probabilities = _predict(model, tested, options, progress)
        info = info.model_copy(update={"held_out": _score(data, info, tested, probabilities)})
        save_model(folder, info, trained.network.model)
        if applicability := _applicability(model, learned, options, progress):
            write_applicability(folder, applicability)
        predictions = _predictions(tested, probabilities, info)
        for views in (count for count in VIEW_COUNTS if count < info.views):
            fewer = looked_through(info.model_copy(update={"views": views}), trained.network.model, setup.preprocess.device)
            columns = probability_columns(info.classes, views=views)
            predictions[columns] = _predict(fewer, tested, options, progress).round(5)
        (folder / PREDICTIONS).write_text(csv_of(predictions, out / PREDICTIONS), encoding="utf-8", newline="\n")
        if info.target == "cover":
            cover = tested["cover"].to_numpy(float)
            known = np.isfinite(cover)
            write_cover_reliability(folder / RELIABILITY, probabilities[known, 1], cover[known], info.classes[1])
        else:
            clear = probabilities[: len(test)]
            write_reliability(folder / RELIABILITY, clear, test["target"].to_numpy(), info.classes)
        write_card(folder, info, predictions, weights=setup.weights, base_model=setup.base_model)
        write_stac_item(folder, info, trained.network.model, training_extent(data, learned), pretrained=_pretrained(setup))
    checkpoint.unlink(missing_ok=True)
    return info


def _pretrained(setup: Setup) -> str | None:
    """Return where the backbone's weights are from; None of random ones."""
    if not setup.options.has_weights:
        return None
    return f"https://huggingface.co/{setup.base_model}" if setup.base_model else setup.weights


def _split(data: Dataset) -> Fold:
    """Return the rows to train and to test on, with their places; every class is in both."""
    fold = own_split(data)
    for name, rows in (("train", fold.train), ("test", fold.test)):
        if missing := [label for label in data.info.classes if label not in set(rows["class"])]:
            raise InputError(f"{data.path} holds no tile of class {missing[0]!r} in its {name} split; hold out other places")
    return fold


def _unclear(data: Dataset, side: str) -> pd.DataFrame:
    """Return the rows of the unclear tiles on a side, whose class is empty."""
    rows = data.unclear(side)
    return rows.assign(**{"class": "", "group": rows["place"], "target": UNCLEAR})


def _with_masks(data: Dataset, tiles: pd.DataFrame) -> pd.DataFrame:
    """Return tiles whose cover is known with the paths of their masks."""
    masks = data.masks(tiles)
    if missing := [tile for tile, mask in zip(tiles["tile_id"], masks, strict=True) if mask is None]:
        raise InputError(
            f"{data.path} has no mask of {counted(len(missing), 'tile')} whose cover is known, such as {missing[0]}; "
            "build it again, or get it again"
        )
    return tiles.assign(mask=masks)


def _few(data: Dataset, train: pd.DataFrame, n: int, trial: int) -> pd.DataFrame:
    """Return the rows of a support set."""
    sets = data.support_sets()
    chosen = support_rows(train, sets, n, trial)
    if chosen.empty:
        shots = ", ".join(map(str, sorted(sets["n"].unique())))
        raise InputError(
            f"{data.path} has no support set {trial} of {n} shots; it has sets 0 to {sets['trial'].max()} of {shots} shots"
        )
    return chosen


def _describe(
    data: Dataset,
    arm: Arm,
    setup: Setup,
    trained: Trained,
    tiles: pd.DataFrame,
    *,
    target: Literal["presence", "cover"],
    notes: tuple[str, ...],
) -> ModelInfo:
    counts = tiles["class"].value_counts()
    return ModelInfo(
        arm=str(arm),
        backbone=setup.name,
        backbone_options=dict(setup.options.backbone_options),
        classes=data.info.classes,
        image_size_px=setup.size_px,
        tile_size_px=data.info.size_px,
        gsd_m=data.info.gsd_m,
        dtype=setup.dtype,
        mean=setup.mean,
        std=setup.std,
        head="linear" if trained.positions is None else trained.positions.head,
        positions=trained.positions,
        unit_features=trained.network.unit_features,
        views=trained.views,
        training_counts={label: int(counts[label]) for label in data.info.classes},
        equal_prior=trained.equal_prior,
        target=target,
        min_cover=data.info.min_cover,
        held_out=HeldOut(balanced_accuracy=0, confusion_matrix=(), split=data.info.split),
        notes=(*notes, *trained.notes),
    )


def _calibrate(info: ModelInfo, trained: Trained, method: Literal["temperature", "vector", "none"]) -> ModelInfo:
    """Return what is said of the model with its temperature; vector scaling becomes part of the classifier."""
    held_out = trained.held_out
    if method == "none" or held_out is None:
        return info
    calibration: Calibration
    if info.target == "cover":
        logits, shares = np.diff(held_out.logits, axis=1)[:, 0], np.asarray(held_out.labels)[:, 1]
        line, calibration = calibrate_cover(logits, shares, groups=held_out.groups, tiles=held_out.tiles)
        trained.network.rescale((np.full(2, line.slope), np.array([0.0, line.offset])))
        return info.model_copy(update={"calibration": calibration})
    if method == "vector":
        vector, calibration = calibrate(held_out.logits, held_out.targets, method="vector", groups=held_out.groups)
        trained.network.rescale(vector)
        return info.model_copy(update={"calibration": calibration})
    temperature, calibration = calibrate(held_out.logits, held_out.targets, method="temperature", groups=held_out.groups)
    return info.model_copy(update={"temperature": temperature, "calibration": calibration})


def _predict(model: TileClassifier, rows: pd.DataFrame, options: TrainOptions, progress: Progress) -> NDArray[np.float32]:
    found = []
    with progress("testing", len(rows)) as advance:
        for batch in batches(rows["path"].tolist(), options.batch_size):
            found.append(model.predict(batch))
            advance(len(batch))
    return np.concatenate(found)


def _applicability(
    model: TileClassifier, learned: pd.DataFrame, options: TrainOptions, progress: Progress
) -> Applicability | None:
    """Return what tells tiles that are unlike those that a model learned from, from as many of these as are of use."""
    rows = learned.iloc[np.argsort([seed_of("applicability", tile) for tile in learned["tile_id"]], kind="stable")[:MOST_TILES]]
    found = []
    with progress("describing training tiles", len(rows)) as advance:
        for batch in batches(rows["path"].tolist(), options.batch_size):
            found.append(model.predictions(batch, features=True).features)
            advance(len(batch))
    return Applicability.of(np.concatenate([part for part in found if part is not None]), rows["group"].to_numpy())


def _score(data: Dataset, info: ModelInfo, tested: pd.DataFrame, probabilities: NDArray[np.float32]) -> HeldOut:
    targets, places_of = tested["target"].to_numpy(np.int64), tested["group"].to_numpy(object)
    cover = tested["cover"].to_numpy(float) if "cover" in tested else np.full(len(tested), np.nan)
    held_out = HeldOutTiles(probabilities.astype(np.float64), targets, places_of, cover)
    clear = tested[targets != UNCLEAR]
    return HeldOut(**score_tiles(info, held_out), split=data.info.split, place_m2=place_ground_m2(data, clear))


def _predictions(test: pd.DataFrame, probabilities: NDArray[np.float32], info: ModelInfo) -> pd.DataFrame:
    """Return what is said of each test tile."""
    return test[["tile_id", "class"]].assign(
        place=test["group"],
        predicted=[info.classes[i] for i in info.predicted(probabilities)],
        **({"cover": test["cover"]} if "cover" in test and test["cover"].notna().any() else {}),
        **dict(zip(probability_columns(info.classes), probabilities.round(5).T, strict=True)),
    )
