"""The field sheet joined to the plots."""

import pytest

from spurgekit.errors import InputError
from spurgekit.plots import Plot, PlotProtocol
from spurgekit.plots.field_sheet import join_field_sheet

SQUARE = ((0.0, 10.0), (10.0, 10.0), (10.0, 0.0), (0.0, 0.0))
PROTOCOL = PlotProtocol(rows=2, columns=2)
PLOTS = [Plot(name, SQUARE, (True,) * 4) for name in "1234"]


@pytest.fixture
def sheet(tmp_path):
    """Write a sheet and return its path: ``sheet("plot,present", "1,yes")``."""

    def write(*lines):
        (tmp_path / "sheet.csv").write_text("\n".join(lines) + "\n")
        return tmp_path / "sheet.csv"

    return write


def refusal(path, **options):
    with pytest.raises(InputError) as caught:
        join_field_sheet(PLOTS, path, PROTOCOL, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_by_id(sheet):
    path = sheet("Plot,present,observer", "2,yes,Ann", "1,no,Bo", "3,yes,Ann", "4,no,Ann")
    plots, notes = join_field_sheet(PLOTS, path, PROTOCOL)
    assert [plot.attributes["present"] for plot in plots] == ["no", "yes", "yes", "no"]
    assert plots[0].attributes["observer"] == "Bo"
    assert notes == ()


def test_ids_that_are_only_here_or_only_there_are_said(sheet):
    plots, notes = join_field_sheet(PLOTS, sheet("plot,present", "1,yes", "3,no", "9,no", "A,yes"), PROTOCOL)
    assert [plot.attributes["present"] for plot in plots] == ["yes", None, "no", None]
    assert notes == ("sheet.csv says nothing of plot 2, 4", "plot 9, A of sheet.csv is not in the image")


def test_by_row_and_column_with_ids_of_its_own(sheet):
    path = sheet("row,column,plot,present", "1,1,N1,yes", "1,2,N2,no", "2,1,S1,no", "2,2,S2,yes")
    plots, _ = join_field_sheet(PLOTS, path, PROTOCOL)
    assert [plot.id for plot in plots] == ["N1", "N2", "S1", "S2"]
    assert plots[2].attributes == {"row": "2", "column": "1", "present": "no"}


def test_by_row_and_column_alone(sheet):
    plots, notes = join_field_sheet(PLOTS, sheet("row,column,present", "2,1,yes"), PROTOCOL)
    assert [plot.id for plot in plots] == ["1", "2", "3", "4"]
    assert plots[2].attributes["present"] == "yes"
    assert notes == ("sheet.csv says nothing of plot 1, 2, 4",)


def test_rows_of_other_sites_are_passed_over(sheet):
    path = sheet("site,plot,present", "a,1,yes", "b,1,no")
    plots, _ = join_field_sheet(PLOTS[:1], path, PROTOCOL, site="b")
    assert plots[0].attributes == {"present": "no"}
    assert "names plot 1 twice" in refusal(path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["name,present", "1,yes"], "has neither a column plot nor columns row and column (name, present)"),
        (["plot,present", "1,yes", "1,no"], "names plot 1 twice"),
        (["plot,present", "A,yes", "B,no"], "names plots A, B, and none of them is here: here are 1, 2, 3, 4"),
        (["row,column", "3,1"], "column row is not all of 1 to 2; correct it, or pass `rows`"),
        (["row,column", "1,1.5"], "column column is not all of 1 to 2; correct it, or pass `columns`"),
        (["row,column,plot", "1,1,a", "1,2,a", "2,1,b", "2,2,c"], "two plots have the id a"),
        ([""], "sheet.csv is empty"),
    ],
)
def test_sheets_that_do_not_serve(sheet, lines, message):
    assert message in refusal(sheet(*lines))


def test_no_sheet(tmp_path):
    assert "none.csv: no such file" in refusal(tmp_path / "none.csv")
