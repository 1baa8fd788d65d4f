from pathlib import Path

import pytest

from tests.command import refuse, succeed


def test_drawn_labelled_and_told(drawn):
    # Cells times spread: 408 and 216 x sqrt(.05 x .95), 24 and 24 x .5; the parts that are uncertain get their least.
    lines = succeed("check", drawn.map, "--cells", "120", "--least", "12", "--out", "mine").splitlines()
    assert lines == [
        "dark: 63 of 408 cells",
        "dark, uncertain: 12 of 24 cells",
        "bright: 33 of 216 cells",
        "bright, uncertain: 12 of 24 cells",
        "120 cells of 0.04 m; if the map's probabilities hold they tell the overall accuracy to 0.039 (95 %)",
        "mine: cells.csv, cells.gpkg, cells.gpx, 120 pictures and overview.png",
        "fill in the column label of cells.csv, or run 'spurgekit review mine'; then run 'spurgekit check mine'",
    ]
    drawn.fill_in(Path("filled.csv"))
    lines = succeed("check", drawn.check, "--labels", "filled.csv", "--confidence", "0.9").splitlines()
    assert lines[0] == "note: 120 labels of filled.csv"
    assert lines[1] == "120 of 120 cells labelled; the map has 1.1 m2 in cells of 0.04 m"
    assert lines[2].startswith("overall accuracy 0.964 (")
    assert lines[2].endswith("), 90 % interval")
    assert lines[4].split("  ")[0] == "class"
    assert lines[-1] == "checks/dune/accuracy.json"
    assert lines[-4].split()[-3:] == ["60.71", "3.57", "75"]


def test_by_default_it_is_made_beside_other_checks(drawn):
    assert "/checks/dune exists already; pass --overwrite to replace it, or another --out" in refuse("check", drawn.map)
    drawn.check.rename("elsewhere")
    assert "checks/dune: cells.csv" in succeed("check", drawn.map)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("checks/dune", "--cells", "50"), "checks/dune holds a sample that is drawn already, and --cells is for drawing one"),
        (("checks/dune", "--out", "x"), "checks/dune holds a sample that is drawn already, and --out is for drawing one"),
        (("maps/dune", "--labels", "x.csv"), "maps/dune holds no sample, and --labels is for one that is labelled"),
        (("maps", "--cells", "50"), "maps holds no presence.tif; name a folder that 'spurgekit map' made"),
        (("maps/dune", "--cells", "673"), "--cells 673 are more than the 672 that the map has; pass fewer"),
        (("checks/dune", "--labels", "x.csv"), "x.csv: no such file"),
        (("checks/dune",), "none of the 120 cells of checks/dune has a label; fill in the column label of cells.csv, or label"),
        (("checks/dune", "--confidence", "95"), "--confidence 95.0 is no level of confidence; pass a share such as 0.95"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(drawn, arguments, said):
    assert refuse("check", *arguments).startswith(f"spurgekit: {said}")


@pytest.mark.parametrize(
    ("error", "code", "said"), [(OSError(28, "No space left on device"), 1, "the disk is full"), (KeyboardInterrupt(), 130, "")]
)
@pytest.mark.parametrize("where", ["spurgekit.accuracy.drawing.cut_pictures", "spurgekit.accuracy.drawing.write_lists"])
def test_a_full_disk_and_an_interrupt_leave_nothing(drawn, monkeypatch, error, code, said, where):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(where, fail)
    assert said in refuse("check", drawn.map, "--out", "one", code=code)


def test_a_full_disk_while_the_result_is_written_leaves_none(drawn, monkeypatch):
    drawn.fill_in(Path("filled.csv"))

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    assert "the disk is full" in refuse("check", drawn.check, "--labels", "filled.csv", code=1)
