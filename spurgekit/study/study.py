"""``spurgekit study``: whether augmentation helps on a dataset."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from spurgekit.augment.mask_sources import mask_file
from spurgekit.classify.arms import SYNTHETIC, parse_arm, parse_arms
from spurgekit.classify.setup import set_up
from spurgekit.classify.tile_reader import TileKind, read_tile
from spurgekit.dataset import Dataset, open_dataset
from spurgekit.dataset.folds import folds_of
from spurgekit.evaluate import EvaluateReport, evaluate_arms
from spurgekit.evaluate.analysis import Evaluation, analyse
from spurgekit.evaluate.cell_store import PREDICTIONS
from spurgekit.evaluate.experiment import split_files, support_tiles
from spurgekit.evaluate.report import write_report
from spurgekit.imagery import slug
from spurgekit.outputs import (
    SETTINGS,
    check_begun,
    check_output,
    fingerprint,
    note_settings,
    output_file,
    output_folder,
    output_lock,
    resolved,
)
from spurgekit.progress import Progress, silent
from spurgekit.study.choosing import Choice
from spurgekit.study.costs import Costs
from spurgekit.study.generating import METRIC, Compared, Generator
from spurgekit.study.made_tiles import MADE_TILES, describe_made_tiles
from spurgekit.study.study_options import StudyOptions
from spurgekit.study.study_page import CHOICES, PAGE, study_lines
from spurgekit.tables import csv_of
from spurgekit.text import counted

REPORT, DESCRIBING = "report", "what was made"
PASTED_SETTINGS = "settings-copy-paste.json"
PAINTED = TileKind(3, "uint8")
"""Tiles that can be painted, or pasted onto."""


@dataclass(frozen=True, slots=True)
class StudyReport:
    """What a study found.

    Attributes
    ----------
    folder : pathlib.Path
        With ``study.md``, and all that an evaluation has.
    best : str
        The best arm without a generator, which the others are held against.
    choices : tuple of Choice
        How the edits of the arm ``chosen`` are made; none where nothing was generated.
    gains : pandas.DataFrame
        What each candidate gained on the training side.
    summary, differences : pandas.DataFrame
        Means with intervals, and paired differences from the best arm without a generator.
    made : pandas.DataFrame
        How near synthetic tiles are to real ones, how true to their labels and how unlike each other
        (:func:`spurgekit.study.made_tiles.describe_made_tiles`); empty where none were made.
    costs : pandas.DataFrame
        Seconds of each step.
    warnings : tuple of str
    """

    folder: Path
    best: str
    choices: tuple[Choice, ...]
    gains: pd.DataFrame
    summary: pd.DataFrame
    differences: pd.DataFrame
    made: pd.DataFrame
    costs: pd.DataFrame
    warnings: tuple[str, ...]


def run_study(
    dataset: str | Path,
    out: str | Path,
    options: StudyOptions | None = None,
    *,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> StudyReport:
    """Ask whether augmentation helps on a dataset: arms with and without a generator, on the same support sets.

    Where masks say where in tiles a class is, its plants are cut out and pasted onto other ground for each support set. With a
    diffusion model, words are learned and tiles made: the round trip through its encoder and decoder, Real Guidance and
    DA-Fusion as published, what was pasted edited where it lies, and DA-Fusion with the strength, guidance and mixing that did
    best on places that were left out of the training side. The test side is looked at once, at the end, by all arms. With
    ``leave_out`` each place is tested on in turn, and nothing is chosen. A run that was stopped goes on where it was; another
    backbone can be asked of the same tiles.

    Parameters
    ----------
    dataset : str or pathlib.Path
        Folder that :func:`spurgekit.build_dataset` made.
    out : str or pathlib.Path
        Folder to make, or to go on with.
    options : StudyOptions, optional
    overwrite : bool
        Begin anew, and replace what is in the folder.
    say : callable
        Told what is being done, and about how long it will take.
    warn : callable
        Told what a user should know while the run goes on.
    progress : Progress

    Returns
    -------
    StudyReport

    Raises
    ------
    InputError
        If the dataset or the options do not serve.
    ModelError
        If the diffusion model or the backbone cannot be had.
    OutputExistsError
        If the folder was begun with other settings.

    Examples
    --------
    >>> import spurgekit
    >>> options = spurgekit.StudyOptions(diffusion="backbone", shots=[1, 4])  # doctest: +SKIP
    >>> spurgekit.run_study("dataset", "study", options).differences  # doctest: +SKIP
    """
    options, out = options or StudyOptions(), Path(out)
    data = open_dataset(dataset)
    options, left_out = _served(data, options)
    unpasted = why_not_pasted(data, options)
    left_out = (*left_out, *filter(None, [unpasted]))
    name = slug(options.backbone or "default")
    report_folder = out / name / REPORT
    folds = folds_of(data, options, options.shots, options.trials)
    with output_lock(resolved(out)):
        check_output(report_folder, "study", overwrite=True)
        begun = {}
        if options.diffusion is not None:
            begun[SETTINGS] = _settings(data, options, options.generator)
        if unpasted is None:
            begun[PASTED_SETTINGS] = _settings(data, options, options.pasted)
        for file, settings in begun.items():
            if not overwrite:
                check_begun(out / file, settings, out)
        setup = set_up(options, folds[0].train, progress)
        out.mkdir(parents=True, exist_ok=True)
        costs = Costs(out)

        def evaluate(part: str, arms: tuple[str, ...], of: Compared | None = None) -> EvaluateReport:
            more = {} if of is None else {"shots": of.shots, "synthetic": dict(of.folders), "mixing": of.mixing}
            say(f"{name}: {', '.join(arms)}")
            with costs.of(f"{name}: {part}"):
                return evaluate_arms(
                    data.path, out / name / part, options.evaluating(arms, **more), overwrite=overwrite, setup=setup,
                    progress=progress,
                )  # fmt: skip

        generator = Generator(data, out, options, costs, overwrite, say, warn, progress)
        if options.diffusion is not None:
            generator.prepare()
        for file, settings in begun.items():
            note_settings(out / file, settings)

        def evaluate_made(of: Compared) -> EvaluateReport:
            arms = tuple(str(parse_arm(f"{options.recipe}+{SYNTHETIC}:{folder}")) for folder in of.folders)
            return evaluate(of.name, arms, of)

        parts, compared = [evaluate("without-generator", options.arms)], []
        if unpasted is None:
            compared.append(generator.paste())
            parts.append(evaluate_made(compared[0]))
        best = _best(pd.concat([part.summary for part in parts]))
        choices: tuple[Choice, ...] = ()
        gains = pd.DataFrame()
        if options.diffusion is not None:
            choices, gains = generator.choose(name)
            generated = generator.make(choices, pastes=unpasted is None)
            parts += [evaluate_made(of) for of in generated]
            compared += generated
        made = pd.DataFrame()
        if folders := {path.name: path for of in compared for path in of.folders.values()}:
            say(f"{name}: {counted(len(folders), 'folder')} of synthetic tiles beside real ones")
            with costs.of(f"{name}: {DESCRIBING}"):
                made = describe_made_tiles(setup, folders, folds, data.info.classes)
        predictions = pd.concat([pd.read_parquet(part.folder / PREDICTIONS) for part in parts], ignore_index=True)
        support = support_tiles(itertools.product(options.shots, range(options.trials)), folds)
        found = analyse(predictions, data.info.classes, support, baseline=best, metric=METRIC, resolve=options.resolve)
        notes = dict.fromkeys(note for part in parts for note in part.notes)
        found = replace(found, warnings=(*left_out, *notes, *found.warnings))
        given = (options.weights, options.unlabelled, options.lora, mask_file(options.mask))
        inputs = [data.path, *(path for path in given if path is not None)]
        parameters = options.parameters()
        with output_folder(report_folder, "study", parameters=parameters, inputs=inputs, overwrite=True) as folder:
            _write(folder, data, options, found, choices, gains, made, costs, predictions)
    return StudyReport(
        report_folder, best, choices, gains, found.summary, found.differences, made, costs.table(), tuple(found.warnings)
    )


def _served(data: Dataset, options: StudyOptions) -> tuple[StudyOptions, tuple[str, ...]]:
    """Return options without arms of unlabelled tiles where there are none, and what is to be said of that."""
    if options.unlabelled is not None or data.info.unlabelled is not None:
        return options, ()
    wanting = [str(arm) for arm in parse_arms(options.arms) if arm.has("retrieval")]
    if not wanting:
        return options, ()
    arms = tuple(arm for arm in options.arms if str(parse_arm(arm)) not in wanting)
    return replace(options, arms=arms), (f"{', '.join(wanting)} left out: there are no unlabelled tiles",)


def _best(summary: pd.DataFrame) -> str:
    """Return the arm that does best on the whole, over all numbers of shots."""
    return str(summary[summary["metric"] == METRIC].groupby("arm", sort=False)["mean"].mean().idxmax())


def why_not_pasted(data: Dataset, options: StudyOptions) -> str | None:
    """Return why there is no arm of copy and paste; None where there is one."""
    if options.mask is None and not data.info.masks:
        return "copy-paste left out: nothing says where in its tiles a class is (`mask`)"
    if (kind := TileKind.of(read_tile(data.split("train")["path"].iloc[0]))) != PAINTED:
        return f"copy-paste left out: tiles have {kind}, not {PAINTED}"
    return None


def _settings(data: Dataset, options: StudyOptions, told: dict[str, object]) -> dict[str, object]:
    """Return what synthetic tiles depend on."""
    files = split_files(data)
    if (mask := mask_file(options.mask)) is not None:
        files["masks"] = mask
    return {**told, **{name: fingerprint(path) for name, path in files.items()}}


def _write(
    folder: Path,
    data: Dataset,
    options: StudyOptions,
    found: Evaluation,
    choices: tuple[Choice, ...],
    gains: pd.DataFrame,
    made: pd.DataFrame,
    costs: Costs,
    predictions: pd.DataFrame,
) -> None:
    predictions.to_parquet(folder / PREDICTIONS, index=False)
    write_report(folder, found)
    for file, table in ((CHOICES, gains), (MADE_TILES, made)):
        if len(table):
            with output_file(folder / file) as partial:
                partial.write_text(csv_of(table, partial, float_format="%.6g"), encoding="utf-8", newline="\n")
    lines = study_lines(data.info, options, found, choices, gains, made, costs.table())
    with output_file(folder / PAGE) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
