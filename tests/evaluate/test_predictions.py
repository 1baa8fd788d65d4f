import numpy as np
import pandas as pd
import pytest

from spurgekit.errors import InputError
from spurgekit.evaluate.predictions import pair_predictions
from tests.evaluate.drawn import CLASSES, table

TILES = [("north", 0, 0.1), ("north", 1, 0.9), ("south", 1, 0.6)]


def grid(arms=("plain", "probe"), shots=(1, 4), trials=(0, 1), folds=("test",)):
    """All cells of a small grid, each of the same tiles."""
    cells = [
        table(TILES, arm=arm, n=n, trial=trial, fold=fold) for arm in arms for n in shots for trial in trials for fold in folds
    ]
    return pd.concat(cells, ignore_index=True)


def without(rows, **cell):
    """The rows that are not of a cell."""
    mine = np.logical_and.reduce([rows[name] == value for name, value in cell.items()])
    return rows[~mine]


class TestPaired:
    def test_cells_in_order(self):
        found = pair_predictions(grid(shots=(0, 16, 4)).iloc[::-1], CLASSES)
        assert found.arms == ("probe", "plain"), "in the order of the table"
        assert found.shots == (4, 16, 0), "the whole training split last"
        assert found.places == ("north", "south")
        assert [(cell.arm, cell.n, cell.trial) for cell in found.cells][:3] == [
            ("probe", 4, 0),
            ("probe", 4, 1),
            ("probe", 16, 0),
        ]
        assert not found.missing
        assert not found.notes()

    def test_rows_of_a_cell(self):
        rows = pd.concat([table([("a", 0, 0.2), ("b", 1, 0.7)], arm=arm, trial=trial) for arm in "xy" for trial in (1, 0)])
        rows["p1"] = np.arange(8, dtype=np.float32) / 10
        rows["p0"] = 1 - rows["p1"]
        found = pair_predictions(rows, CLASSES)
        (cell,) = [cell for cell in found.cells if (cell.arm, cell.trial) == ("y", 0)]
        assert found.probabilities[cell.rows, 1].tolist() == pytest.approx([0.6, 0.7])
        assert found.place[cell.rows].tolist() == [0, 1]
        assert found.target[cell.rows].tolist() == [0, 1]

    def test_other_test_tiles_are_refused(self):
        rows = grid()
        rows = rows.drop(rows.index[(rows["arm"] == "probe") & (rows["n"] == 4) & (rows["tile_id"] == "test1")][0])
        with pytest.raises(
            InputError, match=r"arm 'probe' at n = 4, trial 0, fold test was tested on other tiles than arm 'plain'"
        ):
            pair_predictions(rows, CLASSES)

    def test_other_test_tiles_in_another_trial_are_fine(self):
        rows = without(grid(), trial=1, tile_id="test1")
        assert len(pair_predictions(rows, CLASSES).cells) == 8


class TestMissing:
    def test_a_trial_is_reported_and_left_out(self):
        found = pair_predictions(without(grid(), arm="probe", n=4, trial=1), CLASSES)
        assert [(cell.arm, cell.n, cell.trial) for cell in found.missing] == [("probe", 4, 1)]
        assert found.notes() == ["probe at n = 4 lacks trial 1; it is left out of its mean and of its differences."]

    def test_a_trial_that_lacks_a_fold_is_no_whole_one(self):
        found = pair_predictions(without(grid(folds=("east", "west")), arm="plain", n=1, trial=0, fold="west"), CLASSES)
        whole = [(cell.arm, cell.n, cell.trial) for cell in found.whole_trials()]
        assert ("plain", 1, 0) not in whole
        assert len(whole) == 7
        assert found.notes() == ["plain at n = 1 lacks trial 0 (fold west); it is left out of its mean and of its differences."]

    def test_an_arm_without_some_shots(self):
        found = pair_predictions(without(grid(shots=(1, 0)), arm="probe", n=0), CLASSES)
        assert found.notes() == ["probe has no predictions at n = all."]

    def test_shots_without_some_folds(self):
        found = pair_predictions(without(grid(folds=("east", "west")), n=4, fold="west"), CLASSES)
        assert not found.missing
        assert len(list(found.whole_trials())) == 8
        assert found.notes() == ["n = 4 was not tested on west: its means are of less ground than others."]


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"p1": None}, r"no column p1"),
            ({"p2": 0.0}, r"more classes than sand, weed"),
            ({"p1": 0.5, "p0": 0.6}, r"says 0\.6, 0\.5 of tile test0; probabilities lie from 0 to 1 and add up to 1"),
            ({"p1": np.nan}, r"says 0\.9, nan of tile test0"),
            ({"p1": 1.5, "p0": -0.5}, r"probabilities lie from 0 to 1"),
            ({"target": 2}, r"tile test0 is of class number 2; there are 2 classes, from 0"),
            ({"place": None}, r"no column place"),
            ({"tile_id": "same"}, r"tile same is of more than one place"),
        ],
    )
    def test_in_one_line(self, change, message):
        rows = grid(arms=("plain",), shots=(1,), trials=(0,))
        for column, value in change.items():
            rows = rows.drop(columns=column) if value is None else rows.assign(**{column: value})
        with pytest.raises(InputError, match=message):
            pair_predictions(rows, CLASSES)

    def test_a_tile_twice(self):
        rows = grid()
        with pytest.raises(InputError, match=r"arm 'plain' at n = 1 tests tile test0 more than once in trial 0"):
            pair_predictions(pd.concat([rows, rows[:1]]), CLASSES)

    def test_a_tile_in_two_folds(self):
        rows = pd.concat([table(TILES), table(TILES, fold="east").assign(tile_id=["test0", "east1", "east2"])])
        with pytest.raises(InputError, match=r"tests tile test0 more than once in trial 0"):
            pair_predictions(rows, CLASSES)

    def test_a_tile_of_two_classes(self):
        rows = pd.concat([table(TILES), table([("north", 1, 0.1), *TILES[1:]], trial=1)])
        with pytest.raises(InputError, match=r"tile test0 is of more than one class"):
            pair_predictions(rows, CLASSES)

    def test_a_fold_of_a_name_that_is_taken(self):
        with pytest.raises(InputError, match=r"fold 'all' stands for all folds of a trial together"):
            pair_predictions(grid(folds=("all", "west")), CLASSES)

    def test_nothing(self):
        with pytest.raises(InputError, match=r"no predictions"):
            pair_predictions(table(TILES).iloc[:0], CLASSES)

    def test_a_row_without_a_place(self):
        with pytest.raises(InputError, match=r"column place of the predictions has rows without a value"):
            pair_predictions(table([("north", 0, 0.1), (None, 1, 0.9)]), CLASSES)
