"""The grid on a drawn site: resumed, extended, by place, and on datasets where the answer is known."""

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spurgekit.classify import TrainOptions, train_model
from spurgekit.classify.features import Extractor
from spurgekit.classify.training.finetune_options import FinetuneOptions
from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset
from spurgekit.errors import InputError, LeakageError, OutputExistsError
from spurgekit.evaluate import experiment
from spurgekit.evaluate.cell_store import CellStore
from spurgekit.evaluate.experiment import NOT_OF_CELLS, EvaluateOptions, evaluate_arms
from spurgekit.executors import Workers
from spurgekit.options import kinds_of
from tests.augment.manifests import synthetic, write_augmented
from tests.chain import BACKBONE
from tests.command import refuse, succeed

OPTIONS = EvaluateOptions(
    backbone=BACKBONE, pretrained=False, image_size_px=32, precision="float32",
    arms=("plain", "probe", "probe+cutmix"), shots=(1, 4), trials=3,
)  # fmt: skip
SIDE = 24


def draw_dataset(folder, *, signal, groups=8, per_group=6, shots=(1, 2, 4), seed=0):
    """A folder of images of two classes from several places, and the dataset made of it; without a signal, noise."""
    rng = np.random.default_rng(seed)
    for group in range(groups):
        for number in range(per_group):
            target = number % 2
            pixels = rng.integers(0, 120, (SIDE, SIDE, 3)) + 120 * target * signal
            path = folder / "images" / ("absent", "present")[target] / f"P{group:02d}_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    options = DatasetOptions(
        group_pattern=r"P\d+", classes=("absent", "present"), shots=shots, trials=4, test_share=0.5, seed=1
    )
    build_dataset(folder / "images", folder / "dataset", options)
    return folder / "dataset"


@pytest.fixture(scope="module")
def easy(tmp_path_factory):
    return draw_dataset(tmp_path_factory.mktemp("easy"), signal=1)


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    return draw_dataset(tmp_path_factory.mktemp("noise"), signal=0, groups=20)


@pytest.fixture(scope="module")
def evaluated(easy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated") / "evaluation"
    return evaluate_arms(easy, folder, OPTIONS)


def digests(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name != "provenance.json"
    }


def mean_of(report, arm, n, metric="balanced_accuracy"):
    rows = report.summary
    return float(rows["mean"][(rows["arm"] == arm) & (rows["n"] == n) & (rows["metric"] == metric)].iloc[0])


class TestKnownAnswers:
    def test_what_can_be_told_apart_is(self, evaluated):
        for arm in ("plain", "probe", "probe+cutmix"):
            assert mean_of(evaluated, arm, 4) > 0.97

    def test_trials_that_learn_from_the_same_tiles_are_one(self, tmp_path):
        dataset = draw_dataset(tmp_path, signal=1, shots=(1, 12))
        assert open_dataset(dataset).split("train")["class"].value_counts().tolist() == [12, 12]
        report = evaluate_arms(dataset, tmp_path / "e", replace(OPTIONS, shots=(1, 12)))
        found = report.differences[report.differences["metric"] == "balanced_accuracy"].set_index("n")
        assert set(found.loc[12, "support_sets"]) == {1}
        assert set(found.loc[1, "support_sets"]) == {3}
        assert set(found["trials"]) == {3}
        assert "The 3 trials at n = 12 have one support set among them, and count as one." in report.warnings

    def test_noise_stays_at_chance(self, noise, tmp_path):
        report = evaluate_arms(noise, tmp_path / "e", replace(OPTIONS, arms=("probe", "plain+dihedral"), trials=4))
        for arm in ("probe", "plain+dihedral"):
            assert mean_of(report, arm, 4) == pytest.approx(0.5, abs=0.12)
        assert not report.differences["real"].any()

    def test_synthetic_tiles_that_were_made_of_test_tiles_are_caught(self, easy, tmp_path):
        test = open_dataset(easy).split("test").iloc[0]
        rows = [synthetic("leak", tile_id=test["tile_id"], trial=None, n=None, **{"class": test["class"]})]
        write_augmented(tmp_path / "augmented", rows)
        options = replace(OPTIONS, arms=("probe", "probe+synthetic"), synthetic=tmp_path / "augmented")
        with pytest.raises(LeakageError, match=r"made from tiles outside of the support set, e\.g\. leak from"):
            evaluate_arms(easy, tmp_path / "e", options)
        assert not (tmp_path / "e").exists()


class TestCells:
    @pytest.mark.parametrize("arm", ["plain", "probe"])
    @pytest.mark.parametrize("calibration", ["temperature", "vector", "none"])
    def test_what_is_scored_is_what_train_makes(self, noise, tmp_path, arm, calibration):
        options = replace(OPTIONS, arms=(arm,), shots=(4,), trials=2, calibration=calibration)
        scored = pd.read_parquet(evaluate_arms(noise, tmp_path / "e", options).folder / "predictions.parquet")
        train = TrainOptions(
            arm=arm, shots=4, trial=1, calibration=calibration,
            backbone=BACKBONE, pretrained=False, image_size_px=32, precision="float32",
        )  # fmt: skip
        train_model(noise, tmp_path / "model", train)
        trained = pd.read_csv(tmp_path / "model" / "test_predictions.csv").set_index("tile_id")["p(present)"]
        mine = scored[scored["trial"] == 1].set_index("tile_id")["p1"]
        assert mine.to_numpy() == pytest.approx(trained[mine.index].to_numpy(), abs=1e-4)

    def test_arms_share_support_sets_and_test_tiles(self, evaluated, easy):
        table = pd.read_parquet(evaluated.folder / "predictions.parquet")
        test = open_dataset(easy).split("test")
        for _, cell in table.groupby(["arm", "n", "trial", "fold"]):
            assert cell["tile_id"].tolist() == test["tile_id"].tolist()
            assert cell["target"].tolist() == test["target"].tolist()
        assert evaluated.cells == 3 * 2 * 3 == table.groupby(["arm", "n", "trial", "fold"]).ngroups

    def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_bytes(self, evaluated, easy, tmp_path, monkeypatch):
        put, count = CellStore.put, 0

        def put_or_stop(self, key, predictions):
            nonlocal count
            count += 1
            if count > 7:
                raise KeyboardInterrupt
            return put(self, key, predictions)

        monkeypatch.setattr(CellStore, "put", put_or_stop)
        out = tmp_path / "evaluation"
        with pytest.raises(KeyboardInterrupt):
            evaluate_arms(easy, out, OPTIONS)
        assert not out.exists()
        monkeypatch.setattr(CellStore, "put", put)
        again = evaluate_arms(easy, out, OPTIONS)
        assert again.resumed == 7
        assert digests(out) == digests(evaluated.folder)
        assert [path.name for path in tmp_path.iterdir()] == ["evaluation"]

    def test_a_cell_that_was_being_written_is_not_in_the_way(self, easy, tmp_path, monkeypatch):
        def put_half(self, key, predictions):
            (self.folder / ".0123.partial.parquet").write_bytes(b"PAR1")
            raise KeyboardInterrupt

        put = CellStore.put
        monkeypatch.setattr(CellStore, "put", put_half)
        with pytest.raises(KeyboardInterrupt):
            evaluate_arms(easy, tmp_path / "e", OPTIONS)
        monkeypatch.setattr(CellStore, "put", put)
        assert evaluate_arms(easy, tmp_path / "e", OPTIONS).resumed == 0

    def test_one_that_stopped_before_its_first_cell_is_not_in_the_way_of_other_settings(self, easy, tmp_path, monkeypatch):
        def interrupt(self, key, predictions):
            raise KeyboardInterrupt

        put = CellStore.put
        monkeypatch.setattr(CellStore, "put", interrupt)
        with pytest.raises(KeyboardInterrupt):
            evaluate_arms(easy, tmp_path / "e", OPTIONS)
        monkeypatch.setattr(CellStore, "put", put)
        other = replace(OPTIONS, arms=("probe",), seed=1)
        assert evaluate_arms(easy, tmp_path / "e", other).resumed == 0
        assert evaluate_arms(easy, tmp_path / "e", other).resumed == 6

    def test_a_dataset_need_not_say_how_it_was_made(self, easy, tmp_path):
        dataset = shutil.copytree(easy, tmp_path / "dataset")
        (dataset / "provenance.json").unlink()
        once = evaluate_arms(dataset, tmp_path / "e", replace(OPTIONS, arms=("probe",)))
        assert evaluate_arms(dataset, tmp_path / "e", replace(OPTIONS, arms=("probe",))).resumed == once.cells

    def test_one_that_is_done_is_extended(self, evaluated, easy, tmp_path):
        out = shutil.copytree(evaluated.folder, tmp_path / "e")
        more = evaluate_arms(easy, out, replace(OPTIONS, arms=(*OPTIONS.arms, "plain+flip")))
        assert (more.cells, more.resumed) == (24, 18)
        before, after = (pd.read_parquet(folder / "predictions.parquet") for folder in (evaluated.folder, out))
        pd.testing.assert_frame_equal(before, after.iloc[: len(before)])

    def test_files_of_others_stay_and_what_they_changed_is_not_replaced(self, evaluated, easy, tmp_path):
        out = shutil.copytree(evaluated.folder, tmp_path / "evaluation")
        (out / "notes.md").write_text("what we think of it")
        evaluate_arms(easy, out, replace(OPTIONS, arms=(*OPTIONS.arms, "plain+flip")))
        assert (out / "notes.md").read_text() == "what we think of it"
        assert not list(tmp_path.glob(".*"))
        (out / "report.md").write_text("better words")
        with pytest.raises(OutputExistsError, match=r"report\.md was changed"):
            evaluate_arms(easy, out, OPTIONS, overwrite=True)
        assert (out / "report.md").read_text() == "better words"

    def test_cells_of_other_settings_are_not_mixed_in(self, evaluated, easy, tmp_path):
        out = shutil.copytree(evaluated.folder, tmp_path / "e")
        with pytest.raises(InputError, match=r"begun with other settings \(seed\); pass `overwrite` to start again"):
            evaluate_arms(easy, out, replace(OPTIONS, seed=1))
        assert evaluate_arms(easy, out, replace(OPTIONS, seed=1), overwrite=True).resumed == 0

    @pytest.mark.parametrize(
        "change", [{"image_size_px": 48}, {"mixing": 0.3}, {"finetuning": FinetuneOptions(steps=3)}, {"leave_out": "group"}]
    )
    def test_every_option_that_predictions_depend_on_is_among_the_settings(self, evaluated, easy, tmp_path, change):
        out = shutil.copytree(evaluated.folder, tmp_path / "e")
        with pytest.raises(InputError, match=rf"begun with other settings \({next(iter(change))}\b"):
            evaluate_arms(easy, out, replace(OPTIONS, **change))

    def test_what_is_about_the_machine_or_the_report_is_not(self, evaluated, easy, tmp_path):
        assert set(kinds_of(EvaluateOptions)) > NOT_OF_CELLS
        out = shutil.copytree(evaluated.folder, tmp_path / "e")
        other = {"batch_size": 8, "device": "cpu", "metric": "auroc", "confidence": 0.9, "resolve": 0.1}
        assert evaluate_arms(easy, out, replace(OPTIONS, **other)).resumed == 18

    def test_an_executor_changes_nothing(self, evaluated, easy, tmp_path, scheduler, start_worker):
        start_worker()
        start_worker()
        evaluate_arms(easy, tmp_path / "e", OPTIONS, executor=scheduler)
        assert digests(tmp_path / "e") == digests(evaluated.folder)

    def test_workers_extract_features_too(self, easy, tmp_path, monkeypatch):
        arms = ("plain", "plain+dihedral", "probe", "probe+randaugment")
        options = replace(OPTIONS, arms=arms, shots=(1, 4), trials=1)
        here = evaluate_arms(easy, tmp_path / "here", options)
        monkeypatch.setattr(Extractor, "turned", None)  # of this process
        there = evaluate_arms(easy, tmp_path / "there", options, executor="processes")
        assert here.cells == there.cells == 8
        assert digests(there.folder) == digests(here.folder)

    def test_tiles_of_two_sizes_are_refused_by_workers_too(self, easy, tmp_path):
        broken = shutil.copytree(easy, tmp_path / "dataset")
        with Image.open(last := max((broken / "train").rglob("*.png"))) as image:
            image.resize((40, 40)).save(last)
        with ThreadPoolExecutor(1) as thread, pytest.raises(InputError, match=rf"{last.name} is 40 x 40 px, others"):
            elsewhere = Workers(thread, lambda: 1, in_process=False)
            evaluate_arms(broken, tmp_path / "e", replace(OPTIONS, batch_size=8), executor=elsewhere)
        assert not (tmp_path / "e").exists()


class TestFolds:
    def test_each_place_is_left_out_in_turn(self, easy, tmp_path):
        options = replace(OPTIONS, arms=("probe",), leave_out="group", shots=(2, 0), trials=2)
        report = evaluate_arms(easy, tmp_path / "e", options)
        table = pd.read_parquet(report.folder / "predictions.parquet")
        assert set(table["fold"]) == {f"P{i:02d}" for i in range(8)}
        assert (table["fold"] == table["place"]).all()
        counts = table.groupby(["n", "trial"])["tile_id"].agg(["size", "nunique"])
        assert (counts == 48).all().all()
        assert counts.index.tolist() == [(0, 0), (2, 0), (2, 1)]
        text = (report.folder / "report.md").read_text()
        assert "P03" in text

    def test_the_whole_training_split_is_one_trial(self, easy, tmp_path):
        report = evaluate_arms(easy, tmp_path / "e", replace(OPTIONS, arms=("probe",), shots=(0,)))
        assert report.cells == 1


class TestUnlabelled:
    def seen(self, easy, tmp_path, monkeypatch, **options):
        """Which tiles were looked at without labels, and which were tested."""
        looked_at = []
        whole = experiment.probe_unit

        def probe_unit(store, support, arm):
            looked_at.append(set(support.unlabelled["tile_id"]))
            return whole(store, support, arm)

        monkeypatch.setattr(experiment, "probe_unit", probe_unit)
        report = evaluate_arms(easy, tmp_path / "e", replace(OPTIONS, arms=("probe",), shots=(1,), **options))
        return looked_at, set(open_dataset(easy).split("test")["tile_id"]), report

    def test_none_of_what_is_tested_is_looked_at(self, easy, tmp_path, monkeypatch):
        looked_at, tested, report = self.seen(easy, tmp_path, monkeypatch)
        train = set(open_dataset(easy).split("train")["tile_id"])
        assert all(len(train - tiles) == 2 and not tiles & tested for tiles in looked_at)
        assert not any("Transductive" in warning for warning in report.warnings)

    def test_unless_it_is_transductive_which_is_said(self, easy, tmp_path, monkeypatch):
        looked_at, tested, report = self.seen(easy, tmp_path, monkeypatch, transductive=True)
        assert all(tested <= tiles for tiles in looked_at)
        assert "Transductive: probe looked at the tiles that were tested, without their labels." in report.warnings

    def test_a_threshold_moved_by_tested_tiles_is_transductive(self):
        with pytest.raises(InputError, match=r"the arm probe\+adapt looks at the tiles .* tested on; pass `transductive`"):
            replace(OPTIONS, arms=("probe", "probe+adapt"))
        with pytest.raises(InputError, match=r"the arm probe\+adapt is for comparisons"):
            TrainOptions(arm="probe+adapt")

    def test_it_moves_what_lies_in_two_humps(self):
        rng = np.random.default_rng(0)
        odds = np.concatenate([rng.normal(-1.5, 0.5, 100), rng.normal(3, 0.5, 60)])
        second = 1 / (1 + np.exp(-odds))
        found = experiment._adapted(np.column_stack([1 - second, second]).astype(np.float32))
        moved = np.log(found[:, 1]) - np.log(found[:, 0]) - odds
        assert moved == pytest.approx(np.full(160, moved[0]), abs=1e-3)
        assert -0.8 < moved[0] < -0.1


class TestTuned:
    def test_a_head_on_positions_is_one_of_the_arms(self, easy, tmp_path):
        options = replace(OPTIONS, arms=("probe", "mil"), shots=(4,), trials=2, image_size_px=64)
        assert mean_of(evaluate_arms(easy, tmp_path / "e", options), "mil", 4) > 0.9

    def test_finetuning_goes_through_the_same_cells(self, easy, tmp_path):
        options = replace(
            OPTIONS,
            arms=("finetune", "finetune+dihedral"),
            shots=(2,),
            trials=1,
            finetuning=FinetuneOptions(steps=12, batch_size=8),
        )
        report = evaluate_arms(easy, tmp_path / "e", options)
        assert report.cells == 2
        assert mean_of(report, "finetune", 2) > 0.9


class TestBadInput:
    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            (
                {"shots": (8,)},
                r"has no support sets of 8 shots \(its rarest class has \d+ training tiles\); pass `shots=\[1, 2, 4\]`",
            ),
            ({"trials": 9}, "has support sets of 4 trials; pass `trials=4`"),
            ({"leave_out": "altitude"}, "has no column 'altitude'; places are in"),
            ({"leave_out": "group", "shots": (40,)}, "with group P00 left out there are 21 tiles of class"),
            ({"arms": ("probe+retrieval",)}, "has no unlabelled tiles; tile with `unlabelled_px`"),
            ({"arms": ("probe+synthetic",)}, "wants synthetic tiles; pass their folder as `synthetic`"),
        ],
    )
    def test_one_line_each(self, easy, tmp_path, changes, says):
        with pytest.raises(InputError, match=says) as caught:
            evaluate_arms(easy, tmp_path / "e", replace(OPTIONS, **changes))
        assert "\n" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"trials": 0}, "0 trials of"),
            ({"baseline": "lora"}, "`baseline=lora` is none of the arms plain, probe, probe"),
            ({"arms": ("probe", "probe")}, "names probe twice"),
            ({"synthetic": {"=1+1": "augmented"}}, "the `synthetic` folder's name '=1\\+1' is a formula to spreadsheets"),
        ],
    )
    def test_options_that_cannot_be(self, changes, says):
        with pytest.raises(InputError, match=says):
            replace(OPTIONS, **changes)

    def test_a_folder_of_somebody_elses(self, easy, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match="exists already"):
            evaluate_arms(easy, tmp_path, OPTIONS)


def test_from_the_command_line(easy, tmp_path):
    common = ("evaluate", easy, "--no-pretrained", "--backbone", BACKBONE, "--image-size", 32, "--out", tmp_path / "e")
    said = succeed(*common, "--arms", "plain,probe", "--shots", "1,all", "--trials", 2)
    assert "| plain |" in said
    assert "6 cells; balanced_accuracy in " in said
    assert "(6 were there already)" in succeed(*common, "--arms", "plain,probe", "--shots", "1,all", "--trials", 2)
    assert "'three' is no number of shots; pass e.g. 1,4,16,all" in refuse(*common, "--shots", "three")
