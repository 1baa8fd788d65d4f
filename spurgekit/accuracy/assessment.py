"""``spurgekit check CHECK``: a labelled sample in, the map's accuracy and the areas of its classes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from spurgekit.accuracy.cell_labels import read_labels
from spurgekit.accuracy.cell_lists import CELLS
from spurgekit.accuracy.check_options import AssessOptions
from spurgekit.accuracy.estimates import UNLABELLED, AccuracyEstimates, Estimate, estimate_accuracy
from spurgekit.accuracy.sample import Sample, read_sample
from spurgekit.errors import InputError
from spurgekit.outputs import add_checksums, check_files, output_file
from spurgekit.text import counted

RESULT = "accuracy.json"
MEANING = (
    "Estimates hold for this map, as cells were drawn at random from each of its strata, whose sizes are known. "
    "The same sums over the confusion matrix of a model's held-out tiles are not valid, as those were not drawn from this map. "
    "An area is that of the cells in whose square the class stands."
)


class Interval(BaseModel):
    """An estimate with its interval.

    Attributes
    ----------
    value, se : float or None
        Estimate and standard error; None where the sample has nothing to estimate it by.
    low, high : float or None
        Ends of the interval.
    """

    model_config = ConfigDict(frozen=True)

    value: float | None
    se: float | None
    low: float | None
    high: float | None


class ClassAccuracy(BaseModel):
    """What a sample says of a class.

    Attributes
    ----------
    mapped_m2 : float
        Its area on the map.
    area_m2 : Interval
        Its true area.
    users_accuracy : Interval
        Share of what is mapped as it that is it.
    producers_accuracy : Interval
        Share of what is it that is mapped as it.
    """

    model_config = ConfigDict(frozen=True)

    mapped_m2: float
    area_m2: Interval
    users_accuracy: Interval
    producers_accuracy: Interval


class StratumCount(BaseModel):
    """A stratum and the labels of its cells.

    Attributes
    ----------
    mapped : str
        Class of its cells on the map.
    uncertain : bool
        Whether the map is uncertain of them.
    cells, sampled, labelled : int
        Cells of the map, of the sample, and with a label.
    labels : dict of int by class
        Cells that were found to be of each.
    """

    model_config = ConfigDict(frozen=True)

    mapped: str
    uncertain: bool
    cells: int
    sampled: int
    labelled: int
    labels: dict[str, int]


class Assessment(BaseModel):
    """The accuracy of a map, estimated from a labelled sample of its cells.

    Attributes
    ----------
    schema_version : int
        Version of the file's layout.
    map : str
        Name of the map's folder.
    confidence : float
        Of all intervals.
    cell_m : float
        Side of a cell.
    mapped_m2 : float
        Area of all cells of the map.
    sampled, labelled : int
        Cells of the sample, and those with a label.
    unlabelled : str
        What was done about the others.
    overall_accuracy : Interval
        Share of the map's area that it has right.
    classes : dict of ClassAccuracy by class
        What is known of each.
    error_matrix : list of lists of float
        Shares of the map's area. Row: class on the map, column: true class.
    strata : tuple of StratumCount
        What was drawn and labelled.
    what_it_means : str
        What the estimates hold for, in words.
    notes : tuple of str
        Where labels are from, and what was left out.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: int = 1
    map: str
    confidence: float
    cell_m: float
    mapped_m2: float
    sampled: int
    labelled: int
    unlabelled: str
    overall_accuracy: Interval
    classes: dict[str, ClassAccuracy]
    error_matrix: list[list[float]]
    strata: tuple[StratumCount, ...]
    what_it_means: str = MEANING
    notes: tuple[str, ...] = ()


def assess_map(check: str | Path, options: AssessOptions | None = None, *, overwrite: bool = False) -> Assessment:
    """Estimate a map's accuracy and the areas of its classes from a sample that people labelled.

    Parameters
    ----------
    check : str or pathlib.Path
        That :func:`draw_check` made; it gets ``accuracy.json``.
    options : AssessOptions, optional
    overwrite : bool
        Replace an ``accuracy.json`` that is there, such as that of fewer labels.

    Returns
    -------
    Assessment

    Raises
    ------
    InputError
        If the folder holds no sample; a label is no class, of another sample's cell or of a cell that has one; cells have none
        and `unlabelled` does not say what to do about them, or a stratum has fewer than two labels.
    OutputExistsError
        If there is an ``accuracy.json`` already.

    See Also
    --------
    spurgekit.accuracy.estimate_accuracy : The estimators, on arrays.
    """
    options, check = options or AssessOptions(), Path(check)
    sample = read_sample(check)
    check_files(check / RESULT, overwrite=overwrite, inputs=[path for path in (options.labels,) if path is not None])
    labels = read_labels(check, sample, options.labels)
    notes = labels.notes
    missing = len(sample.cells) - len(labels.classes)
    if not labels.classes:
        raise InputError(
            f"none of the {len(sample.cells):,} cells of {check} has a label; fill in the column label of {CELLS}, or label "
            f"them with 'spurgekit review {check}'"
        )
    if missing and options.unlabelled == "refuse":
        raise InputError(
            f"{missing:,} of the {counted(len(sample.cells), 'cell')} of {check} have no label; label them, or pass "
            "`unlabelled=bound` for intervals that allow for whatever they are, or `unlabelled=leave-out` if chance chose them"
        )
    if missing:
        how = "intervals allow for whatever they are" if options.unlabelled == "bound" else "left out, as if chance chose them"
        notes = (*notes, f"{missing:,} of {counted(len(sample.cells), 'cell')} without a label: {how}")
    _check_counts(sample, labels.classes, check)
    classes = {name: number for number, name in enumerate(sample.classes)}
    used = [one for one in sample.cells if one.cell in labels.classes or options.unlabelled == "bound"]
    found = estimate_accuracy(
        [one.stratum for one in used],
        [classes[sample.strata[one.stratum].mapped] for one in used],
        [classes[labels.classes[one.cell]] if one.cell in labels.classes else UNLABELLED for one in used],
        [stratum.cells for stratum in sample.strata],
        classes=len(classes),
        confidence=options.confidence,
    )
    assessment = _describe(sample, labels.classes, found, options, notes)
    with output_file(check / RESULT) as partial:
        partial.write_text(assessment.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")
    add_checksums(check, [RESULT])
    return assessment


def _check_counts(sample: Sample, labels: Mapping[str, str], check: Path) -> None:
    """Refuse a stratum whose labels do not say how much its cells differ."""
    counts = Counter(one.stratum for one in sample.cells if one.cell in labels)
    for number, stratum in enumerate(sample.strata):
        if counts[number] < min(2, stratum.cells):
            raise InputError(
                f"{check}: {counts[number]} of {counted(stratum.sampled, 'cell')} mapped as {stratum.name} have a label, and "
                "two are the least that tell how much such cells differ; label more of them"
            )


def _describe(
    sample: Sample, labels: Mapping[str, str], found: AccuracyEstimates, options: AssessOptions, notes: tuple[str, ...]
) -> Assessment:
    area = sample.mapped_m2
    mapped = Counter[str]()
    for stratum in sample.strata:
        mapped[stratum.mapped] += stratum.cells
    strata = []
    for number, stratum in enumerate(sample.strata):
        counts = Counter(labels[one.cell] for one in sample.cells if one.stratum == number and one.cell in labels)
        strata.append(
            StratumCount(
                mapped=stratum.mapped,
                uncertain=stratum.uncertain,
                cells=stratum.cells,
                sampled=stratum.sampled,
                labelled=counts.total(),
                labels={name: counts[name] for name in sample.classes},
            )
        )
    return Assessment(
        map=sample.map,
        confidence=options.confidence,
        cell_m=sample.cell_m,
        mapped_m2=round(area, 3),
        sampled=len(sample.cells),
        labelled=len(labels),
        unlabelled=options.unlabelled,
        overall_accuracy=_interval(found.overall),
        classes={
            name: ClassAccuracy(
                mapped_m2=round(mapped[name] * sample.cell_m2, 3),
                area_m2=_interval(found.areas[k], area, 3),
                users_accuracy=_interval(found.users[k]),
                producers_accuracy=_interval(found.producers[k]),
            )
            for k, name in enumerate(sample.classes)
        },
        error_matrix=found.matrix.round(6).tolist(),
        strata=tuple(strata),
        notes=notes,
    )


def _interval(estimate: Estimate, unit: float = 1.0, digits: int = 6) -> Interval:
    values = (estimate.value, estimate.se, estimate.low, estimate.high)
    value, se, low, high = (None if number != number else round(number * unit, digits) for number in values)
    return Interval(value=value, se=se, low=low, high=high)


def format_assessment(found: Assessment) -> list[str]:
    """Return an assessment as lines of text."""
    level = f"{100 * found.confidence:g} %"
    lines = [
        f"{found.labelled:,} of {counted(found.sampled, 'cell')} labelled; the map has {found.mapped_m2:,.1f} m2 in cells of "
        f"{found.cell_m:.2f} m",
        f"overall accuracy {_shown(found.overall_accuracy, 3)}, {level} interval",
        "",
    ]
    rows = [["class", "mapped m2", f"area m2 ({level} interval)", "user's accuracy", "producer's accuracy"]]
    for name, one in found.classes.items():
        area = _shown(one.area_m2, 1)
        rows.append([name, f"{one.mapped_m2:,.1f}", area, _shown(one.users_accuracy, 3), _shown(one.producers_accuracy, 3)])
    names = list(found.classes)
    matrix = [["map \\ truth, % of area", *names, "labelled"]]
    labelled = Counter[str]()
    for stratum in found.strata:
        labelled[stratum.mapped] += stratum.labelled
    for name, row in zip(names, found.error_matrix, strict=True):
        matrix.append([name, *(f"{100 * share:.2f}" for share in row), f"{labelled[name]:,}"])
    return [*lines, *_aligned(rows), "", *_aligned(matrix)]


def _shown(one: Interval, digits: int) -> str:
    low, high = ("?" if end is None else f"{end:,.{digits}f}" for end in (one.low, one.high))
    return "not known" if one.value is None else f"{one.value:,.{digits}f} ({low} to {high})"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows of cells as lines, the first column to the left and the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for first, *others in rows:
        yield "  ".join([f"{first:<{widths[0]}}", *(f"{cell:>{w}}" for cell, w in zip(others, widths[1:], strict=True))])
