"""What botanists wrote down of plots, as labels of their tiles."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
from shapely import box

from spurgekit.dataset.field_record import labels_from_record
from spurgekit.dataset.labels import DEFAULT_CLASSES
from spurgekit.errors import InputError

WHERE = Path("record.csv")
CLASSES = ("no spurge", "leafy spurge")
QUARTERS = ("NW", "NE", "SE", "SW")


def tiles(sites=("north",)):
    """Four quarters of plots 1 and 2 of each site."""
    rows = [(site, plot, quarter) for site in sites for plot in ("1", "2") for quarter in QUARTERS]
    table = pd.DataFrame(rows, columns=["site", "plot", "quarter"])
    return gpd.GeoDataFrame(table, geometry=[box(i, 0, i + 1, 1) for i in range(len(table))], crs="EPSG:32612")


def label(record, *, index=None, column=None, classes=CLASSES):
    index = tiles() if index is None else index
    return labels_from_record(index, pd.DataFrame(record), column=column, classes=classes, where=WHERE)


def test_of_whole_plots():
    found = label({"plot": [1, 2], "label": ["leafy spurge", "no spurge"]})
    assert found.names.tolist() == ["leafy spurge"] * 4 + ["no spurge"] * 4
    assert set(found.origin) == {"plot"}


def test_of_quarters():
    found = label({"Plot": ["1"] * 2, "Quarter": ["NW", "se"], "label": ["leafy spurge", "no spurge"]})
    assert found.names.tolist()[:4] == ["leafy spurge", None, "no spurge", None]
    assert found.origin.tolist()[:4] == ["quarter", None, "quarter", None]


@pytest.mark.parametrize("other", ["maybe", "not surveyed"])
def test_an_answer_that_is_neither_yes_nor_no_is_no_class(other):
    with pytest.raises(InputError, match=rf"record\.csv: presence says 'Yes' in some rows and '{other}' in others; leave rows"):
        label({"plot": [1, 1, 2], "quarter": ["NW", "NE", None], "presence": ["Yes", other, "no"]}, classes=DEFAULT_CLASSES)


def test_a_quarter_counts_more_than_its_plot():
    found = label({"plot": [1, 1], "quarter": ["NE", None], "label": ["no spurge", "leafy spurge"]})
    assert found.names.tolist()[:4] == ["leafy spurge", "no spurge", "leafy spurge", "leafy spurge"]
    assert found.origin.tolist()[:4] == ["plot", "quarter", "plot", "plot"]


def test_of_several_sites():
    record = {"site": ["north", "south"], "plot": [1, 1], "label": ["leafy spurge", "no spurge"]}
    found = label(record, index=tiles(("north", "south")))
    assert found.names.tolist() == ["leafy spurge"] * 4 + [None] * 4 + ["no spurge"] * 4 + [None] * 4


@pytest.mark.parametrize("column", ["label", "presence", "present"])
@pytest.mark.parametrize(("yes", "no"), [("yes", "no"), (1, 0), ("Present", "ABSENT"), ("x", "-"), (True, False), (1.0, 0.0)])
def test_in_botanists_words(column, yes, no):
    assert label({"plot": [1, 2], column: [yes, no]}).names.tolist() == ["leafy spurge"] * 4 + ["no spurge"] * 4


def test_an_empty_field_says_nothing():
    assert label({"plot": [1, 2], "label": ["yes", None]}).names.tolist() == ["leafy spurge"] * 4 + [None] * 4


def test_of_more_species_words_are_no_classes():
    found = label({"plot": [1, 2], "label": ["knapweed", "1"]}, classes=("none", "spurge", "knapweed"))
    assert found.names.tolist() == ["knapweed"] * 4 + ["1"] * 4  # which is then refused as none of the classes


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"label": ["yes"]}, r"record\.csv has no column plot \(label\); name the plots in it"),
        ({"plot": [1], "spurge": ["yes"]}, r"record\.csv has no column 'label' \(plot, spurge\); pass `label_column`"),
        (
            {"plot": [1, 1], "label": ["yes", "no"]},
            "record.csv says both 'leafy spurge' and 'no spurge' of plot 1; correct it",
        ),
        (
            {"plot": [1, 1], "quarter": ["NW", None], "label": ["yes", "no"]},
            "says 'no spurge' of plot 1, and 'leafy spurge' of its quarter NW; correct it",
        ),
        (
            {"plot": ["01", "02"], "label": ["yes", "no"]},
            "tells of plots 01, 02, and no tile is of one of them; tiles are of plots 1, 2",
        ),
        ({"plot": [1], "quarter": ["1"], "label": ["yes"]}, "tells of plot 1, quarter 1; quarters are NE, NW, SE, SW"),
    ],
)
def test_what_cannot_be(record, said):
    with pytest.raises(InputError, match=said):
        label(record)


def test_tiles_that_are_of_no_plot():
    with pytest.raises(InputError, match="is a record of plots, and these tiles are of none; tile with `layout=plots`"):
        label({"plot": [1], "label": ["yes"]}, index=tiles().drop(columns="plot"))


def test_said_twice_the_same_is_said_once():
    assert label({"plot": [1, 1], "label": ["yes", "present"]}).names.tolist()[:4] == ["leafy spurge"] * 4


def test_records_of_no_tile_are_known():
    found = label({"plot": [1, 7, 2], "quarter": ["NW", "", ""], "label": ["leafy spurge", "no spurge", "no spurge"]})
    assert found.source.used.tolist() == [True, False, True]
    assert (found.source.rows, found.source.place_of(1)) == ("records", "of plot 7")


def test_a_column_that_was_asked_for_needs_no_words():
    record = {"plot": [1, 2], "Presence": ["yes", "no"]}
    assert label(record, column="Presence").notes == ()
    assert label(record).notes == ("classes are taken from the column 'presence' of record.csv",)
