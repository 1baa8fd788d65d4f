"""Confidence in synthetic tiles: what a classifier of the support set that they were made for says of them.

For each support set the recipe ``probe`` is trained on its real tiles alone, and predicts the tiles that were made from them.
How far it agrees with their labels becomes ``confidence`` in ``manifest.parquet``, and their ``weight`` follows from that.
Nothing of what is held out is read, nor is the class of any tile outside of the support set. (The backbone is that of training:
bands that are not RGB are normalised as they are in all tiles that may be learned from.)

The idea is DIAGen's (Lingenberg et al. 2024, arXiv:2408.14584), whose classifier stops early and is calibrated on a validation
split. Here it has but the support set: it is calibrated by the tiles that are left out in turn, and with one shot, where none
can be, not at all: there, a tile that looks just like the real one of its class gets 0.88 of two classes. An edit shows a tile
that the classifier knows, so confidence in weak edits is high by nature; it finds the edits that went astray.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from spurgekit.augment.manifest import MANIFEST, check_sources, labels, read_manifest
from spurgekit.augment.support_sets import ALL_TILES, SupportSetKey
from spurgekit.classify.arms import parse_arm
from spurgekit.classify.backbone_options import BackboneOptions
from spurgekit.classify.calibration import calibrate
from spurgekit.classify.probe import Array, Probe
from spurgekit.classify.probe_samples import ProbeUnit, SupportSet, probe_unit, tile_features
from spurgekit.classify.recipes import left_out_logits
from spurgekit.classify.setup import Setup, set_up
from spurgekit.classify.weigh_options import WeighOptions
from spurgekit.dataset import Dataset, open_dataset
from spurgekit.dataset.folds import Fold, leave_out
from spurgekit.dataset.places import place_column, places
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.errors import InputError
from spurgekit.outputs import add_checksums, add_provenance, output_file, output_lock, resolved
from spurgekit.parallel import cores, stream_map
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of

JUDGE = parse_arm("probe")
IN_FLIGHT = 8
CHUNK = 256
"""Synthetic tiles whose features of single views are in memory at once."""


@dataclass(frozen=True, slots=True)
class ClassConfidence:
    """Confidence in the tiles that were made of a class for a support set.

    Attributes
    ----------
    key : SupportSetKey
        The support set.
    name : str
        Of the class that they were painted as.
    images : int
    kept : int
        Those that weigh something.
    mean : float
        Of their confidence.
    temperature : float or None
        That logits were divided by; None where nothing could be left out to calibrate by.
    """

    key: SupportSetKey
    name: str
    images: int
    kept: int
    mean: float
    temperature: float | None


@dataclass(frozen=True, slots=True)
class WeighReport:
    """What was weighed.

    Attributes
    ----------
    folder : pathlib.Path
    classes : tuple of ClassConfidence
        Of each support set, in the order of the manifest.
    warnings : tuple of str
        One line each.
    """

    folder: Path
    classes: tuple[ClassConfidence, ...]
    warnings: tuple[str, ...]

    @property
    def images(self) -> int:
        """Rows of the manifest."""
        return sum(entry.images for entry in self.classes)

    @property
    def kept(self) -> int:
        """Those that weigh something."""
        return sum(entry.kept for entry in self.classes)


def agreement(targets: Array, probabilities: Array) -> Array:
    """Return how far predictions agree with labels: the part that both have in common, 0 to 1.

    For a plain label it is the probability of the class. For a soft one it is 1 where the classifier divides its belief as the
    label does. (The chance that both name the same class, the sum of products, would be 0.5 for a label of one half each,
    whatever the classifier says.)

    Parameters
    ----------
    targets, probabilities : ndarray, shape (n, classes)
        Rows sum to 1.

    Examples
    --------
    >>> agreement(np.array([[0, 1], [0.5, 0.5]]), np.array([[0.3, 0.7], [0.3, 0.7]])).tolist()
    [0.7, 0.8]
    """
    return np.asarray(np.minimum(targets, probabilities).sum(axis=1))


def confidence_of(probe: Probe, support: SupportSet, features: Array, targets: Array) -> tuple[Array, float | None]:
    """Return how far the classifier of a support set agrees with the labels of images, and what its logits were divided by.

    Parameters
    ----------
    probe : Probe
        Of the real tiles alone.
    support : SupportSet
    features : ndarray, shape (n, d)
        Of the images.
    targets : ndarray, shape (n, classes)
        Their labels; rows sum to 1.

    Returns
    -------
    confidence : ndarray, shape (n,)
    temperature : float or None
        None where nothing could be left out to calibrate by.
    """
    held_out = left_out_logits(probe, support.targets, support.groups)
    temperature = None if held_out is None else calibrate(held_out.logits, held_out.targets, groups=held_out.groups)[0]
    return agreement(targets, softmax(probe.logits(features) / (temperature or 1.0), axis=1)), temperature


def weigh_synthetic(
    augmented: str | Path,
    dataset: str | Path,
    options: WeighOptions | None = None,
    *,
    backbone: BackboneOptions | None = None,
    progress: Progress = silent,
) -> WeighReport:
    """Weigh synthetic tiles by the confidence of a classifier of their support set.

    ``manifest.parquet`` is written anew, whole or not at all, with the columns ``confidence``, ``weight`` and ``given_weight``,
    which is the weight before; a tile that had none (a duplicate) gets none. Rows, their order and other columns stay. Weighing
    again starts from ``given_weight``, so that the same options give the same table, and others may be tried.

    A class of which no tile is kept is trained on its real tiles alone: a tile that is not believed, kept because it is the
    best, would carry all the weight of the synthetic ones.

    Parameters
    ----------
    augmented : str or pathlib.Path
        Folder of synthetic tiles.
    dataset : str or pathlib.Path
        That they were made from.
    options : WeighOptions, optional
    backbone : BackboneOptions, optional
        Of the classifier. Take the one that is to be trained with the tiles, or a better one.
    progress : Progress

    Returns
    -------
    WeighReport

    Raises
    ------
    InputError
        If folders do not serve or do not go together.
    LeakageError
        If a tile was made from one outside of its support set.
    ModelError
        If the backbone or its weights cannot be had.
    """
    options, backbone = options or WeighOptions(), backbone or BackboneOptions()
    augmented, dataset = Path(augmented), Path(dataset)
    data = open_dataset(dataset)
    rows = read_manifest(augmented, data.info.classes)
    sets = _sets(augmented, rows)
    folds = _folds(augmented, data, sets, options)
    support = _support(augmented, data, folds, sets, backbone.seed)
    known = [rows for fold in folds.values() for rows in (fold.train, fold.test)]  # no test side is read for this
    labelled = frozenset(tile for rows in known for tile in rows["tile_id"])
    for key, own in sets.items():
        check_sources(rows.iloc[own], support[key].tiles["tile_id"], labelled)
    setup = set_up(backbone, next(iter(folds.values())).train, progress)
    confidence, temperatures = np.empty(len(rows)), {}
    for alike in [folds] if not setup.by_tiles else [{name: fold} for name, fold in folds.items()]:
        judge = setup.normalised_by(next(iter(alike.values())).train, progress)
        judged = {key: own for key, own in sets.items() if key.fold in alike}
        temperatures.update(_judge(judge, rows, judged, support, confidence, progress))
    table = _weighed(augmented, confidence, options)
    found = tuple(_count(table, sets, temperatures))
    parameters = {**options.parameters(), "arm": str(JUDGE), **backbone.parameters(), "backbone": setup.name}
    inputs = [path for path in (Path(dataset), backbone.weights) if path is not None]
    with output_lock(resolved(augmented)):
        with output_file(augmented / MANIFEST) as partial:
            table.to_parquet(partial, index=False)
        add_checksums(augmented, [MANIFEST])
        add_provenance(augmented, "confidence", parameters, inputs)
    return WeighReport(Path(augmented), found, (*setup.notes, *_warnings(found, options)))


def _sets(folder: Path, rows: pd.DataFrame) -> dict[SupportSetKey, NDArray[np.intp]]:
    """Return the places in the manifest of the tiles of each support set, in the order in which they come first."""
    half = rows["trial"].isna() != rows["n"].isna()
    if half.any():
        raise InputError(
            f"{folder / MANIFEST}: {rows['id'][half].iloc[0]} has a trial or a number of shots, and not the other; "
            "what is of no one support set has no classifier to judge it"
        )
    found: dict[SupportSetKey, list[int]] = {}
    for place, (trial, n, fold) in enumerate(zip(rows["trial"], rows["n"], rows["fold"].fillna(""), strict=True)):
        key = ALL_TILES if pd.isna(n) else SupportSetKey(int(trial), int(n))
        found.setdefault(key._replace(fold=fold), []).append(place)
    return {key: np.array(own, np.intp) for key, own in found.items()}


def _folds(
    folder: Path, data: Dataset, sets: Mapping[SupportSetKey, object], options: WeighOptions
) -> Mapping[str, Fold]:  # fmt: skip
    """Return the folds that tiles were made for, by the place that is left out."""
    made = list(dict.fromkeys(key.fold for key in sets))
    few = [key for key in sets if key.n != ALL_SHOTS]
    if options.leave_out is None:
        if left_out := [name for name in made if name]:
            raise InputError(
                f"{folder} holds tiles made with {left_out[0]} left out; pass the `leave_out` that they were made with"
            )
        train, column = data.split("train"), place_column(data)
        train = train.assign(group=places(data, train, column))
        return {"": Fold("", column, train, train.iloc[:0], data.support_sets() if few else pd.DataFrame())}
    trials = max((key.trial for key in few), default=0) + 1
    known = {fold.name: fold for fold in leave_out(data, options, sorted({key.n for key in sets}), trials)}
    if "" in made:
        raise InputError(
            f"{folder} holds tiles made of the dataset's own training split; leave `leave_out` out, or make some with it"
        )
    if other := [name for name in made if name not in known]:
        raise InputError(
            f"{folder} holds tiles made with {other[0]} left out, and {data.path} has no such {options.leave_out}; "
            "pass the `leave_out` and `together` that they were made with"
        )
    return {name: known[name] for name in made}


def _support(
    folder: Path, data: Dataset, folds: Mapping[str, Fold], sets: Mapping[SupportSetKey, object], seed: int
) -> dict[SupportSetKey, SupportSet]:
    """Return the real tiles of each support set; all that may be learned from for what was made for these as a whole."""
    found = {}
    for key in sets:
        tiles = folds[key.fold].support(key.n, key.trial)
        if tiles.empty:
            raise InputError(
                f"{folder} holds tiles for trial {key.trial} of {key.n} shots, and {data.path} has no such support set; "
                "pass the dataset that they were made from"
            )
        found[key] = SupportSet(tiles, len(data.info.classes), seed=seed_of(seed, key.n, key.trial))
    return found


def _judge(
    setup: Setup,
    rows: pd.DataFrame,
    sets: Mapping[SupportSetKey, NDArray[np.intp]],
    support: Mapping[SupportSetKey, SupportSet],
    confidence: Array,
    progress: Progress,
) -> dict[SupportSetKey, float | None]:
    """Fill in the confidence in each row of some support sets, and return the temperature of each set's classifier."""
    store = setup.store(progress)
    real = pd.concat([support[key].tiles for key in sets]).drop_duplicates("tile_id")
    tile_features(store, real, JUDGE.recipe)  # all that the sets share in one go
    images = rows.iloc[np.concatenate(list(sets.values()))].drop_duplicates("file_name")
    described = _describe_images(setup, images, progress)
    place = pd.Series(range(len(images)), images["file_name"])
    targets = labels(rows, next(iter(support.values())).classes)
    temperatures: dict[SupportSetKey, float | None] = {}
    units = (probe_unit(store, support[key], JUDGE) for key in sets)
    # Many small problems, as in an evaluation: threads within one would wait for each other.
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(cores()) as threads,
        progress("weighing tiles", len(sets)) as advance,
    ):
        probes = stream_map(threads, ProbeUnit.fit, units, in_flight=IN_FLIGHT)
        for (key, own), probe in zip(sets.items(), probes, strict=True):
            seen = described[place.loc[rows["file_name"].iloc[own]]]
            confidence[own], temperatures[key] = confidence_of(probe, support[key], seen, targets[own])
            advance(1)
    return temperatures


def _describe_images(setup: Setup, images: pd.DataFrame, progress: Progress) -> Array:
    """Return what the classifier knows of images, shape (n, d); an image of several support sets is looked at once."""
    found = []
    with progress("looking at synthetic tiles", len(images)) as advance:
        for start in range(0, len(images), CHUNK):
            part = images.iloc[start : start + CHUNK]
            tiles = pd.DataFrame({"tile_id": part["file_name"], "path": part["path"]})
            found.append(tile_features(setup.store(), tiles, JUDGE.recipe))
            advance(len(part))
    return np.concatenate(found)


def _weighed(folder: Path, confidence: Array, options: WeighOptions) -> pd.DataFrame:
    """Return the manifest as it is in its file, with the new columns."""
    table = pd.read_parquet(folder / MANIFEST)
    given = table["given_weight" if "given_weight" in table else "weight"].to_numpy(np.float64)
    return table.assign(weight=given * options.factors(confidence), confidence=confidence, given_weight=given)


def _count(
    table: pd.DataFrame, sets: Mapping[SupportSetKey, NDArray[np.intp]], temperatures: Mapping[SupportSetKey, float | None]
) -> Iterator[ClassConfidence]:
    for key, own in sets.items():
        for name, rows in table.iloc[own].groupby("class", sort=False):
            kept = int((rows["weight"] > 0).sum())
            yield ClassConfidence(key, str(name), len(rows), kept, float(rows["confidence"].mean()), temperatures[key])


def _warnings(found: Sequence[ClassConfidence], options: WeighOptions) -> Iterator[str]:
    for name in dict.fromkeys(entry.name for entry in found):
        own = [entry for entry in found if entry.name == name]
        if bare := [entry.key.name for entry in own if not entry.kept]:
            best = max(entry.mean for entry in own if not entry.kept)
            yield (
                f"no synthetic tile of {name!r} is confident enough in {len(bare)} of {len(own)} support sets, e.g. {bare[0]} "
                f"(the mean is up to {best:.2f}, {options.min_confidence:g} is asked for): only real ones are trained on there"
            )
    plain = {entry.key for entry in found if entry.temperature is None}
    if plain:
        yield (
            f"confidence is not calibrated in {len(plain)} of {len({entry.key for entry in found})} support sets: "
            "with 1 shot no tile can be left out"
        )
