import json
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from spurgekit.accuracy import AssessOptions, assess_map, estimate_accuracy, read_sample
from spurgekit.errors import InputError, OutputExistsError
from spurgekit.outputs.checksums import look_through, read_checksums
from spurgekit.tiles.review_log import Decision, Opinion, append_decisions
from tests.accuracy.conftest import ROWS

BOUND, LEFT_OUT = AssessOptions(unlabelled="bound"), AssessOptions(unlabelled="leave-out")


def test_labels_filled_in_tell_accuracy_and_areas(drawn):
    drawn.fill_in(drawn.check / "cells.csv")
    found = assess_map(drawn.check)
    sample = read_sample(drawn.check)
    # All 24 uncertain dark cells are bright in truth, and nothing else is wrong: all is known, however few were looked at.
    assert found.classes["bright"].mapped_m2 == pytest.approx(10 * ROWS * 0.0016)
    assert found.classes["bright"].area_m2.value == pytest.approx(11 * ROWS * 0.0016, abs=1e-3)
    assert found.classes["bright"].area_m2.low < 11 * ROWS * 0.0016 < found.classes["bright"].area_m2.high
    assert found.overall_accuracy.value == pytest.approx(27 / 28, abs=1e-6)
    assert found.classes["dark"].users_accuracy.value == pytest.approx(17 / 18, abs=1e-6)
    assert found.classes["bright"].producers_accuracy.value == pytest.approx(10 / 11, abs=1e-6)
    assert found.error_matrix == [
        [pytest.approx(17 / 28, abs=1e-6), pytest.approx(1 / 28, abs=1e-6)],
        [0, pytest.approx(10 / 28, abs=1e-6)],
    ]
    assert [one.labels["bright"] for one in found.strata] == [0, *(one.sampled for one in sample.strata[1:])]
    assert found.notes == ("120 labels of cells.csv",)


def test_it_is_written_and_listed(drawn):
    drawn.fill_in(Path("filled.csv"))
    found = assess_map(drawn.check, AssessOptions(labels="filled.csv", confidence=0.9))
    written = json.loads((drawn.check / "accuracy.json").read_text())
    assert written == json.loads(found.model_dump_json())
    assert written["confidence"] == 0.9
    assert "held-out tiles are not valid" in written["what_it_means"]
    listing = look_through(drawn.check, read_checksums(drawn.check))
    assert "accuracy.json" in listing.listed
    assert (listing.changed, listing.foreign) == ((), ())
    with pytest.raises(OutputExistsError, match=r"accuracy.json exists already; pass `overwrite`"):
        assess_map(drawn.check, AssessOptions(labels="filled.csv"))


def test_a_geopackage_filled_in_serves_too(drawn):
    table = gpd.read_file(drawn.check / "cells.gpkg")
    table.assign(label=[drawn.truth(cell) for cell in table["cell"]]).to_file("filled.gpkg", layer="cells")
    drawn.fill_in(Path("filled.csv"))
    ours, theirs = (
        assess_map(drawn.check, AssessOptions(labels=f"filled.{end}"), overwrite=True).model_dump(exclude={"notes"})
        for end in ("csv", "gpkg")
    )
    assert ours == theirs


def test_words_for_presence_serve_two_classes(drawn):
    path = drawn.fill_in(Path("filled.csv"))
    table = pd.read_csv(path, dtype=str)
    table["label"] = table["label"].map({"bright": "Yes", "dark": "no"})
    table.to_csv("words.csv", index=False, sep=";")
    found = [assess_map(drawn.check, AssessOptions(labels=name), overwrite=True) for name in ("filled.csv", "words.csv")]
    assert found[0].classes == found[1].classes


def review(drawn, opinions):
    append_decisions(
        drawn.check / "review.jsonl", [Decision(who=who, tile=cell, after=said) for (who, cell), said in opinions.items()]
    )


def test_a_review_labels_cells_and_what_nobody_could_tell_is_counted(drawn):
    cells = [one.cell for one in read_sample(drawn.check).cells]
    told = {("ada", cell): Opinion(verdict="accepted", label=drawn.truth(cell)) for cell in cells[3:]}
    review(drawn, told | {("ada", cells[0]): Opinion(verdict="unsure"), ("ada", cells[1]): Opinion(verdict="rejected")})
    with pytest.raises(
        InputError, match=r"^3 of the 120 cells of checks/dune have no label; label them, or pass `unlabelled=bound`"
    ):
        assess_map(drawn.check)
    bound, left_out = (assess_map(drawn.check, how, overwrite=True) for how in (BOUND, LEFT_OUT))
    assert bound.notes == (
        "117 labels of review.jsonl",
        "2 cells of review.jsonl without a label: 1 rejected, 1 unsure",
        "3 of 120 cells without a label: intervals allow for whatever they are",
    )
    assert left_out.notes[-1] == "3 of 120 cells without a label: left out, as if chance chose them"
    assert bound.classes["bright"].area_m2.low <= left_out.classes["bright"].area_m2.low
    assert bound.classes["bright"].area_m2.high > left_out.classes["bright"].area_m2.high
    assert bound.overall_accuracy.value == left_out.overall_accuracy.value


def test_left_out_cells_are_as_if_they_had_not_been_drawn(drawn):
    drawn.fill_in(Path("half.csv"), cells=90)
    found = assess_map(drawn.check, AssessOptions(labels="half.csv", unlabelled="leave-out"))
    sample = read_sample(drawn.check)
    known = sample.cells[:90]
    mapped = [sample.classes.index(sample.strata[one.stratum].mapped) for one in known]
    truth = [sample.classes.index(drawn.truth(one.cell)) for one in known]
    alone = estimate_accuracy([one.stratum for one in known], mapped, truth, [one.cells for one in sample.strata], classes=2)
    assert found.overall_accuracy.low == pytest.approx(alone.overall.low, abs=1e-6)
    assert (found.sampled, found.labelled) == (120, 90)


def test_table_and_review_that_differ_are_refused(drawn):
    drawn.fill_in(drawn.check / "cells.csv", cells=60)
    cells = [one.cell for one in read_sample(drawn.check).cells]
    review(drawn, {("ada", cell): Opinion(verdict="accepted", label=drawn.truth(cell)) for cell in cells[50:]})
    assert assess_map(drawn.check).notes == ("60 labels of cells.csv", "70 labels of review.jsonl")
    other = "dark" if drawn.truth(cells[0]) == "bright" else "bright"
    review(drawn, {("ada", cells[0]): Opinion(verdict="accepted", label=other)})
    with pytest.raises(
        InputError, match=rf"cells.csv says that {cells[0]} is .* that it is {other}; correct one, or name the table"
    ):
        assess_map(drawn.check, overwrite=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns="label"), "bad.csv has no column 'label'; it needs cell and label"),
        (lambda t: pd.concat([t, t.iloc[[4]]]), r"bad.csv names the cell 'dune_r\d+_c\d+' twice; keep one row of each cell"),
        (
            lambda t: t.assign(cell=["dune_r00099_c00099", *t["cell"][1:]]),
            "bad.csv names 1 cell not of this sample, 'dune_r00099_c00099' for one; pass the labels of the sample's own cells",
        ),
        (
            lambda t: t.assign(label=["brihgt", *t["label"][1:]]),
            r"bad.csv: dune_r\d+_c\d+ is labelled 'brihgt', did you mean bright\? known are dark, bright",
        ),
        (lambda t: t.assign(label=["?", *t["label"][1:]]), "1 of the 120 cells of checks/dune have no label"),
        (lambda t: t.assign(cell=[None, *t["cell"][1:]]), "bad.csv: row 1 names no cell; write its id, or take the row out"),
        (lambda t: t.iloc[:100], "20 of the 120 cells of checks/dune have no label; label them, or pass `unlabelled=bound`"),
        (
            lambda t: t.assign(label=None),
            r"none of the 120 cells of checks/dune has a label; fill in the column label of cells.csv",
        ),
    ],
)
def test_labels_that_cannot_be_are_refused(drawn, change, said):
    change(pd.read_csv(drawn.fill_in(Path("filled.csv")), dtype=str)).to_csv("bad.csv", index=False)
    with pytest.raises(InputError, match=said):
        assess_map(drawn.check, AssessOptions(labels="bad.csv"))
    assert not (drawn.check / "accuracy.json").exists()


def test_a_workbook_is_refused_with_what_to_do(drawn):
    Path("filled.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match=r"^filled.xlsx is a workbook or an archive, not a text; save the sheet as CSV"):
        assess_map(drawn.check, AssessOptions(labels="filled.xlsx"))


@pytest.mark.parametrize("how", ["bound", "leave-out"])
def test_a_stratum_with_one_label_is_refused(drawn, how):
    table = pd.read_csv(drawn.fill_in(Path("filled.csv")), dtype=str)
    of_stratum = table["cell"].str.endswith("_c00010")
    table.loc[of_stratum & (of_stratum.cumsum() > 1), "label"] = None
    table.to_csv("few.csv", index=False)
    with pytest.raises(InputError, match=r"^checks/dune: 1 of \d+ cells mapped as bright, uncertain have a label, and two are"):
        assess_map(drawn.check, AssessOptions(labels="few.csv", unlabelled=how))


def test_a_damaged_sample_is_refused(drawn):
    path = drawn.check / "sample.json"
    said = json.loads(path.read_text())
    said["strata"][0]["cells"] = 3
    path.write_text(json.dumps(said))
    with pytest.raises(InputError, match=r"sample.json: the stratum 'dark' is not what its cells are; draw the sample again"):
        assess_map(drawn.check)
    with pytest.raises(InputError, match=r"maps/dune holds no sample.json; draw a sample with 'spurgekit check MAP'"):
        assess_map(drawn.map)
