from itertools import pairwise

import matplotlib as mpl
import pandas as pd
import pytest

from spurgekit.errors import InputError
from spurgekit.evaluate.analysis import analyse
from spurgekit.evaluate.curves import draw_curves
from spurgekit.evaluate.report import write_report
from tests.evaluate.drawn import CLASSES, simulated, table

ROWS = simulated(
    {"plain": 0.7, "better": 0.85}, trials=6, places=10, tiles=8, sd_trials=0.04, sd_places=0.04, shots=(1, 4)
)  # fmt: skip
ROWS = pd.concat([ROWS, ROWS[ROWS["arm"] == "plain"].assign(arm="twin")], ignore_index=True)
FILES = {
    "results.parquet", "summary.csv", "differences.csv", "places.csv", "report.md", "curves.png", "curves.svg",
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    found = analyse(ROWS, CLASSES, baseline="plain", replicates=300)
    write_report(folder, found)
    return folder, found


class TestFiles:
    def test_all_and_nothing_else(self, written):
        folder, _ = written
        assert {path.name for path in folder.iterdir()} == FILES

    def test_the_same_bytes_again_whatever_the_user_draws_with(self, written, tmp_path):
        folder, _ = written
        with mpl.rc_context({"lines.linewidth": 9, "font.size": 20}):
            write_report(tmp_path, analyse(ROWS, CLASSES, baseline="plain", replicates=300))
        changed = [name for name in FILES if (tmp_path / name).read_bytes() != (folder / name).read_bytes()]
        assert not changed

    def test_pictures_say_no_time_and_no_version(self, written):
        folder, _ = written
        assert b"dc:date" not in (folder / "curves.svg").read_bytes()
        assert b"Software" not in (folder / "curves.png").read_bytes()

    def test_results_are_tidy(self, written):
        folder, _ = written
        results = pd.read_parquet(folder / "results.parquet")
        assert list(results.columns) == ["arm", "n", "trial", "fold", "metric", "value"]
        assert len(results) == 3 * 2 * 6 * 5, "arms, shots, trials and metrics"

    def test_tables_hold_what_the_report_returns(self, written):
        folder, found = written
        summary = pd.read_csv(folder / "summary.csv")
        assert summary["mean"].tolist() == pytest.approx(found.summary["mean"].tolist(), rel=1e-5)
        differences = pd.read_csv(folder / "differences.csv")
        assert differences["real"].tolist() == found.differences["real"].tolist()
        assert len(pd.read_csv(folder / "places.csv")) == 3 * 2 * 10


class TestReport:
    @pytest.fixture
    def text(self, written):
        return (written[0] / "report.md").read_text(encoding="utf-8")

    def test_first_table_is_that_of_the_means(self, written, text):
        first = text[text.index("| ") :].split("\n\n")[0].splitlines()
        assert first[0] == "| arm | n = 1 | n = 4 |"
        mean = written[1].results.query("arm == 'plain' and n == 1 and metric == 'balanced_accuracy'")["value"].mean()
        assert first[2].startswith(f"| plain | {mean:.3f} [")
        assert len(first) == 5

    def test_real_differences_are_bold(self, text):
        lines = text[text.index("## Differences from plain") :].splitlines()
        assert "bold where real when all 4 comparisons are allowed for: 2 are." in lines[2]
        assert "| twin | 0.000 [0.000, 0.000] | 0.000 [0.000, 0.000] |" in lines
        (better,) = [line for line in lines if line.startswith("| better | ") and "**" in line]
        assert better.count("**+0.") == 2

    def test_warnings_are_said(self, written, text):
        assert written[1].warnings
        for warning in written[1].warnings:
            assert f"- {warning}" in text

    def test_no_folds_where_there_is_one_split(self, text):
        assert "Fold by fold" not in text

    def test_fold_by_fold(self, tmp_path):
        east = table([("a", 1, 0.9), ("a", 0, 0.2), ("b", 1, 0.9), ("b", 0, 0.2)], fold="east")
        west = table([("c", 1, 0.4), ("c", 0, 0.2), ("d", 0, 0.2)], fold="west")
        rows = pd.concat([fold.assign(trial=trial, arm=arm) for fold in (east, west) for trial in (0, 1) for arm in ("x", "y")])
        write_report(tmp_path, analyse(rows, CLASSES, baseline="x", replicates=50))
        lines = (tmp_path / "report.md").read_text(encoding="utf-8").splitlines()
        assert "Balanced accuracy (recall of sand, recall of weed) at n = 1." in lines
        assert "| east | 4 | 1.000 (1.00, 1.00) | 1.000 (1.00, 1.00) |" in lines
        assert "| west | 3 | 0.500 (1.00, 0.00) | 0.500 (1.00, 0.00) |" in lines

    def test_one_arm_has_nothing_to_differ_from(self, tmp_path):
        write_report(tmp_path, analyse(ROWS[ROWS["arm"] == "plain"], CLASSES, baseline="plain", replicates=50))
        text = (tmp_path / "report.md").read_text(encoding="utf-8")
        assert "Differences" not in text.replace("`differences.csv`", "").split("## How to read it")[0]
        assert text.startswith("# Balanced accuracy of 1 arm on the same support sets")

    def test_one_trial_on_one_place(self, tmp_path):
        rows = pd.concat([table([("a", 1, 0.9), ("a", 0, 0.1)], arm=arm, n=0) for arm in ("x", "y")])
        write_report(tmp_path, analyse(rows, CLASSES, baseline="x", metric="brier", replicates=50))
        text = (tmp_path / "report.md").read_text(encoding="utf-8")
        assert "| x | 0.010 [no interval] |" in text
        assert "nan" not in text


class TestRefused:
    def test_unknown_metric(self):
        with pytest.raises(InputError, match=r"no metric 'kappa'; known are balanced_accuracy, auroc"):
            analyse(ROWS, CLASSES, baseline="plain", metric="kappa")

    def test_unknown_baseline(self):
        with pytest.raises(InputError, match=r"no arm 'magic'"):
            analyse(ROWS, CLASSES, baseline="magic", replicates=10)

    def test_a_metric_that_no_trial_has(self):
        with pytest.raises(InputError, match=r"AUROC is defined for no trial"):
            analyse(ROWS[ROWS["target"] == 1], CLASSES, baseline="plain", metric="auroc", replicates=10)


class TestCurves:
    def test_names_of_lines_do_not_lie_on_each_other(self):
        arms = [f"arm {number}" for number in range(12)]
        rows = [(arm, n, "f1", 0.9 + 0.001 * i, 0.85, 0.95, 3, 4) for i, arm in enumerate(arms) for n in (1, 16, 0)]
        figure = draw_curves(
            pd.DataFrame(rows, columns=["arm", "n", "metric", "mean", "low", "high", "trials", "places"]), metric="f1"
        )
        figure.canvas.draw()
        (axes,) = figure.axes
        boxes = sorted((text.get_window_extent() for text in axes.texts if text.get_text() in arms), key=lambda box: box.y0)
        assert len(boxes) == 12
        assert all(above.y0 >= below.y1 - 1 for below, above in pairwise(boxes))
        assert max(box.x1 for box in boxes) < figure.bbox.x1, "all within the picture"

    def test_shots_on_a_scale_of_doublings_and_the_whole_split_apart(self):
        rows = [("plain", n, "f1", 0.9, 0.8, 1.0, 3, 4) for n in (1, 2, 16, 0)]
        figure = draw_curves(
            pd.DataFrame(rows, columns=["arm", "n", "metric", "mean", "low", "high", "trials", "places"]), metric="f1"
        )
        (axes,) = figure.axes
        assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "16", "all"]
        at = axes.get_xticks()
        assert at[:3].tolist() == [0, 1, 4]
        assert at[3] > 5
