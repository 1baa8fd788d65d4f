"""Synthetic tiles of a drawn survey, made by a small diffusion model of the real classes."""

import errno
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spurgekit.augment import generation, read_manifest
from spurgekit.augment.augment_options import AugmentOptions
from spurgekit.augment.generation import augment_dataset
from spurgekit.augment.methods import METHODS, AugmentMethod
from spurgekit.augment.plan import make_plan
from spurgekit.augment.workers import pick_devices, render_here
from spurgekit.dataset import open_dataset
from spurgekit.errors import InputError, LeakageError, OutputExistsError
from tests.chain import CLASSES, TILE_PX
from tests.outputs.listing import RECORDS


class Inputs(NamedTuple):
    """What images are made from, and where."""

    dataset: Path
    options: AugmentOptions

    def having(self, **options):
        return self._replace(options=replace(self.options, **options))


def augment(inputs, options, out, **how):
    """Make images of some inputs."""
    return augment_dataset(inputs.dataset, out, replace(inputs.options, **options), **how)


@pytest.fixture(scope="module")
def inputs(chain, tiny, tmp_path_factory):
    from spurgekit.diffusion.textual_inversion.inversion import InversionOptions

    options = AugmentOptions(
        shots=(1, 2),
        trials=1,
        backbone=str(tiny),
        device="cpu",
        embeddings=tmp_path_factory.mktemp("learned") / "embeddings",
        inversion=InversionOptions(steps=2, batch=2),
    )
    return Inputs(chain.dataset, options)


def options(method="real-guidance", **given):
    return {"method": method, "images": 3, "strengths": "1,0.5", "steps": 4, "batch_size": 4, **given}


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "provenance.json"
    }


def interrupt(monkeypatch, after):
    """Have a run stop with Ctrl-C when so many units are made."""

    def stop(units, *how):
        for number, made in enumerate(render_here(units, *how)):
            if number == after:
                raise KeyboardInterrupt
            yield made

    monkeypatch.setattr("spurgekit.augment.generation.render_here", stop)


def forbidden(*_, **__):
    raise AssertionError("the model is not needed")


def render_negative(renderer, unit):
    """The round trip, and its negative."""
    made = renderer.render(unit)
    return replace(made, images=tuple(255 - picture for picture in made.images))


def stopped(*_, **__):
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def made(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "augmented"
    said = []
    report = augment(inputs, options(), out, announce=said.append)
    return out, report, said


class TestFolder:
    def test_the_manifest_lists_what_is_there(self, made, chain):
        out, report, _ = made
        rows = read_manifest(out, CLASSES)
        assert report.images == rows["file_name"].nunique() == 2 * 2 * 3  # the sets are nested: 4 tiles
        assert len(rows) == report.rows == (2 + 4) * 3
        assert set(rows["backbone"]) == {rows["backbone"].iloc[0]}
        assert set(rows["weight"]) == {1}
        train = open_dataset(chain.dataset).split("train").set_index("tile_id")
        assert rows["class"].tolist() == train.loc[rows["tile_id"], "class"].tolist()
        assert rows["easting"].tolist() == train.loc[rows["tile_id"], "easting"].tolist()

    def test_images_have_the_size_of_their_tiles_and_are_not_them(self, made, chain):
        out, _, _ = made
        train = open_dataset(chain.dataset).split("train").set_index("tile_id")
        for _, row in read_manifest(out, CLASSES).iterrows():
            image = np.asarray(Image.open(row["path"]))
            assert image.shape == (TILE_PX, TILE_PX, 3)
            assert (image != np.asarray(Image.open(train.loc[row["tile_id"], "path"]).convert("RGB"))).any()

    def test_says_what_it_will_do_before_it_does(self, made, tiny):
        _, report, said = made
        (announced,) = said
        assert (announced.estimate.images, announced.resumed, announced.sets) == (report.images, 0, 2)
        assert announced.estimate.seconds > 0
        assert announced.estimate.bytes > 12 * 500
        assert announced.backbone.name == str(tiny)

    def test_leaves_nothing_else(self, made):
        out, _, _ = made
        assert {path.name for path in out.iterdir()} == {"tiles", "manifest.parquet", "contact_sheet.png", *RECORDS}
        assert [path.name for path in out.parent.iterdir()] == ["augmented"]
        record = json.loads((out / "provenance.json").read_text())
        assert record["parameters"]["sets"] == ["t00-n01", "t00-n02"]
        assert "diffusers" in record["versions"]

    def test_batches_change_no_image(self, made, inputs, tmp_path):
        out, _, _ = made
        augment(inputs, options(batch_size=1), tmp_path / "single")
        for name, data in contents(tmp_path / "single").items():
            if name.endswith(".png") and name != "contact_sheet.png":
                one, many = (np.asarray(Image.open(folder / name)).astype(int) for folder in (tmp_path / "single", out))
                assert abs(one - many).max() <= 1, data


class TestResume:
    @pytest.mark.parametrize(
        ("after", "noted"), [(0, 0), (1, 0), (2, 4), (3, 6)]
    )  # of either strength 4 and 2 are made at once
    def test_ends_with_the_same_bytes(self, made, inputs, tmp_path, monkeypatch, after, noted):
        out, report, _ = made
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupt(patch, after)
            augment(inputs, options(), tmp_path / "augmented")
        assert not (tmp_path / "augmented").exists()
        partial = tmp_path / ".augmented.partial"
        assert len(list(partial.rglob("*.png"))) >= noted
        missing = next(path for path in sorted(out.glob("tiles/*/*.png")) if not (partial / path.relative_to(out)).exists())
        half = partial / missing.relative_to(out).with_name(f".{missing.stem}.partial.png")
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(b"half")  # a kill in the middle of an image
        said = []
        resumed = augment(inputs, options(), tmp_path / "augmented", announce=said.append)
        assert (resumed.images, resumed.resumed) == (report.images, noted)
        assert said[0].estimate.images == report.images - noted
        assert contents(tmp_path / "augmented") == contents(out)

    def test_with_other_options_it_does_not_go_on(self, inputs, tmp_path, monkeypatch):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupt(patch, 1)
            augment(inputs, options(), tmp_path / "augmented")
        with pytest.raises(OutputExistsError, match=r"begun with other settings \(guidance\)"):
            augment(inputs, options(guidance=3.0), tmp_path / "augmented")
        augment(inputs, options(), tmp_path / "augmented")

    def test_nor_loads_the_model_to_find_that_out(self, inputs, tmp_path, monkeypatch):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupt(patch, 1)
            augment(inputs, options(), tmp_path / "augmented")
        monkeypatch.setattr(AugmentOptions, "load", forbidden)
        with pytest.raises(OutputExistsError, match=r"begun with other settings \(guidance\)"):
            augment(inputs, options(guidance=3.0), tmp_path / "augmented")

    def test_nor_where_all_images_are_there(self, made, inputs, tmp_path, monkeypatch):
        out, report, _ = made
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("spurgekit.augment.generation._draw", stopped)
            augment(inputs, options(), tmp_path / "augmented")
        monkeypatch.setattr(AugmentOptions, "load", forbidden)
        said = []
        resumed = augment(inputs, options(), tmp_path / "augmented", announce=said.append)
        assert resumed.resumed == report.images
        assert (said[0].estimate.images, said[0].estimate.seconds) == (0, 0)
        assert contents(tmp_path / "augmented") == contents(out)

    def test_a_model_that_does_not_load_leaves_nothing_behind(self, inputs, tmp_path, monkeypatch):
        monkeypatch.setattr(AugmentOptions, "load", forbidden)
        with pytest.raises(AssertionError):
            augment(inputs, options(), tmp_path / "augmented")
        assert not list(tmp_path.iterdir())

    def test_a_full_disk_loses_nothing(self, made, inputs, tmp_path, monkeypatch):
        out, _, _ = made
        write, count = Path.write_bytes, 0

        def fill(self, data):
            nonlocal count
            count += self.suffix == ".png"
            if count > 6:
                raise OSError(errno.ENOSPC, "No space left on device", str(self))
            return write(self, data)

        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            patch.setattr(Path, "write_bytes", fill)
            augment(inputs, options(), tmp_path / "augmented")
        augment(inputs, options(), tmp_path / "augmented")
        assert contents(tmp_path / "augmented") == contents(out)

    def test_too_little_room_is_said_first(self, inputs, tmp_path, monkeypatch):
        monkeypatch.setattr("spurgekit.augment.generation.shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
        with pytest.raises(InputError, match=r"need about 0 MB and .* has 0 MB left; free some space, or pass fewer `images`"):
            augment(inputs, options(), tmp_path / "augmented")


class TestMethods:
    def test_da_fusion_learns_first(self, inputs, tmp_path):
        report = augment(inputs, options("da-fusion", images=1), tmp_path / "augmented")
        assert inputs.options.embeddings.is_dir()
        assert report.images == report.rows == 2 + 4
        rows = read_manifest(tmp_path / "augmented", CLASSES)
        assert set(rows["prompt"]) == {f"a drone photo of <{name}>" for name in CLASSES}
        before = contents(inputs.options.embeddings)
        augment(inputs, options("da-fusion", images=2), tmp_path / "more")
        assert contents(inputs.options.embeddings) == before

    def test_what_cannot_be_made_is_said_before_anything_is_learned(self, inputs, tmp_path):
        elsewhere = inputs.having(embeddings=tmp_path / "embeddings")
        with pytest.raises(InputError, match="cannot work at 60 px"):
            augment(elsewhere, options("da-fusion", images=1, size_px=60), tmp_path / "augmented")
        assert not list(tmp_path.iterdir())

    def test_what_another_set_learned_is_not_taken(self, inputs, tmp_path):
        augment(inputs, options("da-fusion", images=1), tmp_path / "augmented")
        with pytest.raises((InputError, LeakageError), match="t01-n01"):
            augment(inputs.having(trials=2), options("da-fusion", images=1), tmp_path / "other")

    def test_a_roundtrip_is_one_image_a_tile(self, inputs, tmp_path):
        report = augment(inputs, options("roundtrip", images=7), tmp_path / "augmented")
        assert report.images == 4

    def test_text_to_image_knows_no_tile(self, inputs, tmp_path):
        augment(inputs, options("text-to-image", images=1), tmp_path / "augmented")
        rows = pd.read_parquet(tmp_path / "augmented" / "manifest.parquet")
        assert set(rows["strength"]) == {1}

    @pytest.mark.parametrize(("shares", "images"), [(False, 2 + 4), (True, 4)])
    def test_one_of_somebody_elses(self, inputs, tmp_path, monkeypatch, shares, images):
        method = AugmentMethod(
            name="negative", description="", mode="roundtrip", images=1, shares_images=shares, render=render_negative
        )
        monkeypatch.setitem(METHODS._records, "negative", method)
        report = augment(inputs, options("negative"), tmp_path / "augmented")
        # The tile of the set of one shot is among those of two: what a method may have learned of one set is not the other's.
        assert (report.rows, report.images) == (2 + 4, images)
        augment(inputs, options("roundtrip"), tmp_path / "coded")
        for row, other in zip(
            *(read_manifest(tmp_path / name, CLASSES)["path"] for name in ("augmented", "coded")), strict=True
        ):
            assert (np.asarray(Image.open(row)) == 255 - np.asarray(Image.open(other))).all()

    def test_of_the_whole_split(self, inputs, tmp_path, chain):
        report = augment(inputs.having(shots=(0,)), options("roundtrip"), tmp_path / "augmented")
        assert report.images == len(open_dataset(chain.dataset).split("train"))
        assert read_manifest(tmp_path / "augmented", CLASSES)[["trial", "n"]].isna().all(axis=None)


class TestMasks:
    @pytest.fixture
    def train(self, chain):
        return open_dataset(chain.dataset).split("train").set_index("tile_id")

    @pytest.fixture
    def inside(self):
        inside = np.zeros((TILE_PX, TILE_PX), np.uint8)
        inside[8:20, 4:16] = 255
        return inside

    @pytest.fixture
    def masked(self, inputs, tmp_path, train, inside):
        (tmp_path / "masks").mkdir()
        for tile in train.index:
            Image.fromarray(inside).save(tmp_path / "masks" / f"{tile}.png")
        return inputs.having(mask=tmp_path / "masks")

    def test_what_lies_outside_stays_to_the_bit(self, masked, tmp_path, train, inside):
        augment(masked, options(images=2), tmp_path / "augmented")
        for _, row in read_manifest(tmp_path / "augmented", CLASSES).iterrows():
            image = np.asarray(Image.open(row["path"]))
            real = np.asarray(Image.open(train.loc[row["tile_id"], "path"]).convert("RGB"))
            assert (image[inside == 0] == real[inside == 0]).all()
            assert (image[inside > 0] != real[inside > 0]).any()

    def test_a_run_that_was_stopped_ends_with_the_same_bytes(self, masked, tmp_path, monkeypatch):
        augment(masked, options(images=2), tmp_path / "whole")
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupt(patch, 1)
            augment(masked, options(images=2), tmp_path / "stopped")
        augment(masked, options(images=2), tmp_path / "stopped")
        assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")

    def test_the_plan_is_made_once(self, masked, tmp_path, monkeypatch):
        plans = []

        def noted(*args, **kwargs):
            plans.append(make_plan(*args, **kwargs))
            return plans[-1]

        monkeypatch.setattr("spurgekit.augment.generation.make_plan", noted)
        augment(masked, options(images=1), tmp_path / "augmented")
        assert len(plans) == 1


def test_devices():
    assert pick_devices("cuda:0, cuda:1") == ["cuda:0", "cuda:1"]
    assert pick_devices("cpu") == ["cpu"]


def test_workers_make_the_same_images(made, inputs, tmp_path, monkeypatch, scheduler, start_worker):
    """With names of files that are seen from the working folder, which workers do not share."""
    start_worker("import os; os.chdir('/')")
    monkeypatch.chdir(inputs.dataset.parent)
    near = inputs._replace(dataset=Path(inputs.dataset.name))
    augment(near, options(), tmp_path / "dask", executor=scheduler)
    found, expected = contents(tmp_path / "dask"), contents(made[0])
    sums = "SHA256SUMS"  # has that of the settings, which name the dataset as it was named
    assert {**found, sums: None} == {**expected, sums: None}


class TestWhenAClusterIsBegun:
    @pytest.fixture
    def steps(self, monkeypatch):
        """What a run does in turn: it learns words, and opens workers."""
        noted = []

        def noting(name):
            module, done = "spurgekit.augment.generation", getattr(generation, name)

            def do(*args, **how):
                noted.append(name)
                return done(*args, **how)

            monkeypatch.setattr(f"{module}.{name}", do)

        for name in ("learn_embeddings", "open_workers"):
            noting(name)
        return noted

    def test_words_are_learned_first(self, inputs, tmp_path, steps):
        fresh = inputs.having(embeddings=tmp_path / "embeddings")
        augment(fresh, options("da-fusion", images=1), tmp_path / "a")
        assert steps == ["learn_embeddings", "open_workers"]

    @pytest.mark.parametrize(
        ("executor", "said"),
        [
            ("dask://localhost:1", "no Dask scheduler answers at tcp://localhost:1"),
            ("cluster.toml", "distributed.Nothing is no class of a Dask cluster"),
            ("missing.toml", "missing.toml"),
        ],
    )
    def test_one_that_will_not_serve_is_refused_before(self, inputs, tmp_path, monkeypatch, steps, executor, said):
        pytest.importorskip("distributed")
        monkeypatch.setattr("spurgekit.executors.dask_cluster.CONNECT_S", 1.0)
        monkeypatch.chdir(tmp_path)
        Path("cluster.toml").write_text('cluster = "distributed.Nothing"\n')
        with pytest.raises(InputError, match=said):
            augment(inputs.having(embeddings=tmp_path / "embeddings"), options("da-fusion"), tmp_path / "a", executor=executor)
        assert (steps, (tmp_path / "a").exists()) == ([], False)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"method": "copy-paste"}, "has none; leave it out"), ({"device": "cuda:0,cuda:1"}, "the one that each worker has")],
)
def test_what_workers_cannot_share(inputs, tmp_path, given, said):
    with pytest.raises(InputError, match=said):
        augment(inputs, given, tmp_path / "a", executor="processes")


def test_several_devices_make_the_same_images(made, inputs, tmp_path):
    out, _, _ = made
    augment(inputs.having(device="cpu,cpu"), options(), tmp_path / "augmented")
    assert contents(tmp_path / "augmented") == contents(out)
