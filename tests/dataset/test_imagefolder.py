"""Folders of images that others made."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset, validate_dataset
from spurgekit.dataset.imagefolder import other_images, read_imagefolder
from spurgekit.errors import InputError, LeakageError


@pytest.fixture
def weeds(tmp_path):
    """Folders of two species with eight images each, of four photos."""
    rng = np.random.default_rng(0)
    for name in ("thistle", "spurge"):
        (tmp_path / "weeds" / name).mkdir(parents=True)
        for number in range(8):
            image = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
            image.save(tmp_path / "weeds" / name / f"IMG_{number // 2}_{name[0]}{number}.png")
    return tmp_path / "weeds"


class TestRead:
    def test_the_class_is_the_name_of_the_folder(self, weeds):
        index = read_imagefolder(weeds).rows
        assert index["label"].value_counts().to_dict() == {"spurge": 8, "thistle": 8}
        assert set(index["size_px"]) == {12}
        assert index.geometry.isna().all()
        assert index["tile_id"].iloc[0] == "IMG_0_s0"

    def test_groups_by_a_pattern(self, weeds):
        assert set(read_imagefolder(weeds, group_pattern=r"IMG_(\d)").rows["group"]) == set("0123")
        assert set(read_imagefolder(weeds, group_pattern=r"IMG_\d").rows["group"]) == {f"IMG_{i}" for i in range(4)}

    def test_files_of_one_name_in_two_folders(self, weeds):
        for name in ("thistle", "spurge"):
            (weeds / name / f"IMG_0_{name[0]}0.png").rename(weeds / name / "0.png")
        assert {"thistle_0", "spurge_0"} < set(read_imagefolder(weeds).rows["tile_id"])

    def test_a_table_beside_the_images(self, weeds):
        rows = {"file_name": ["spurge/IMG_0_s0.png"], "label": ["toadflax"], "height_m": [30]}
        pd.DataFrame(rows).to_csv(weeds / "metadata.csv", index=False)
        index = read_imagefolder(weeds).rows.set_index("tile_id")
        assert (index.loc["IMG_0_s0", "label"], index.loc["IMG_0_s1", "label"]) == ("toadflax", "spurge")
        assert index["height_m"].notna().sum() == 1

    def test_splits_that_folders_name(self, weeds):
        for side in ("train", "test"):
            (weeds / side).mkdir()
        (weeds / "thistle").rename(weeds / "train" / "thistle")
        (weeds / "spurge").rename(weeds / "test" / "spurge")
        index = read_imagefolder(weeds).rows
        assert set(zip(index["label"], index["split"], strict=True)) == {("thistle", "train"), ("spurge", "test")}

    def test_places_in_the_table(self, weeds):
        files = sorted(path.relative_to(weeds).as_posix() for path in weeds.rglob("*.png"))
        places = {"easting": 500_000.0 + np.arange(16), "northing": 5_000_000.0}
        pd.DataFrame({"file_name": files, **places}).to_csv(weeds / "metadata.csv", index=False)
        index = read_imagefolder(weeds, gsd_m=0.05, crs="EPSG:32612").rows
        assert index.crs.to_epsg() == 32612
        assert index.geometry.iloc[0].bounds == pytest.approx((499_999.7, 4_999_999.7, 500_000.3, 5_000_000.3))
        with pytest.raises(InputError, match="pass the CRS of easting and northing with `crs`"):
            read_imagefolder(weeds, gsd_m=0.05)

    def test_places_in_degrees_come_into_their_utm_zone(self, weeds):
        files = sorted(path.relative_to(weeds).as_posix() for path in weeds.rglob("*.png"))
        pd.DataFrame({"file_name": files, "longitude": -111.0, "latitude": 45.0}).to_csv(weeds / "metadata.csv", index=False)
        index = read_imagefolder(weeds, gsd_m=0.05).rows
        assert index.crs.to_epsg() == 32612
        assert index.geometry.iloc[0].centroid.coords[0] == pytest.approx((500_000, 4_982_950.4), abs=0.1)

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda folder: (folder / "spurge" / "x.png").write_text("hello"), r"x\.png cannot be decoded"),
            (lambda folder: (folder / "metadata.csv").write_text("a,b\n1,2\n"), r"metadata\.csv has no column file_name"),
            (
                lambda folder: (folder / "metadata.csv").write_text("file_name\nno.png\n"),
                r"1 row of images that are not there, no\.png for one",
            ),
            (
                lambda folder: (folder / "metadata.csv").write_text("file_name\nspurge/IMG_0_s0.png\nspurge/IMG_0_s0.png\n"),
                "names spurge/IMG_0_s0.png twice",
            ),
        ],
    )
    def test_what_does_not_serve(self, weeds, spoil, said):
        spoil(weeds)
        with pytest.raises(InputError, match=said):
            read_imagefolder(weeds)

    @pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "metadata.parquet"])
    def test_a_table_in_either_form(self, weeds, name):
        files = sorted(path.relative_to(weeds).as_posix() for path in weeds.rglob("*.png"))
        table = pd.DataFrame({"file_name": files, "label": ["a", "b"] * 8, "plot": "01"})
        if name.endswith("csv"):
            table.to_csv(weeds / name, index=False)
        elif name.endswith("parquet"):
            table.to_parquet(weeds / name)
        else:
            (weeds / name).write_text(table.to_json(orient="records", lines=True) + "\n")
        index = read_imagefolder(weeds).rows
        assert index.set_index("file_name")["label"].to_dict() == dict(zip(files, ["a", "b"] * 8, strict=True))

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ('{"file_name": "a"}\n\n{"file_name": ', "metadata.jsonl, line 3 is not JSON"),
            ("[1]", "is not a JSON object in each line"),
        ],
    )
    def test_lines_that_are_no_json(self, weeds, line, said):
        (weeds / "metadata.jsonl").write_text(line)
        with pytest.raises(InputError, match=said):
            read_imagefolder(weeds)

    def test_images_of_other_kinds_are_passed_over(self, weeds):
        for path in (weeds / "spurge" / "a.webp", weeds / "b.bmp", weeds / ".hidden.webp"):
            Image.new("RGB", (12, 12)).save(path)
        (weeds / "notes.pdf").write_text("")
        (weeds / "read me.txt").write_text("")
        assert len(read_imagefolder(weeds).rows) == 16
        assert [path.as_posix() for path in other_images(weeds)] == ["b.bmp", "spurge/a.webp"]

    def test_a_folder_of_other_kinds_alone_says_which(self, tmp_path):
        Image.new("RGB", (12, 12)).save(tmp_path / "a.webp")
        with pytest.raises(InputError, match=r"holds 1 image such as a\.webp, and none of \.png, .*; make them PNG$"):
            read_imagefolder(tmp_path)

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(InputError, match=r"holds neither \.png, \.jpg, \.jpeg, \.tif, \.tiff images nor tiles\.parquet"):
            read_imagefolder(tmp_path)

    @pytest.mark.parametrize(
        ("pattern", "said"), [("(", "is no regular expression"), ("DSC", "`group_pattern='DSC'` matches nothing in 'IMG_0_s0'")]
    )
    def test_patterns_that_do_not_serve(self, weeds, pattern, said):
        with pytest.raises(InputError, match=said):
            read_imagefolder(weeds, group_pattern=pattern)


class TestTableWithoutLabel:
    """A folder of all images is no class where a table tells them apart."""

    def write(self, folder, called):
        (folder / "images").mkdir(parents=True)
        rng = np.random.default_rng(0)
        names = [f"g{number // 4}_{number}.png" for number in range(16)]
        for name in names:
            Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(folder / "images" / name)
        pd.DataFrame({"file_name": [f"images/{name}" for name in names], called: ["weed", "sand"] * 8}).to_csv(
            folder / "metadata.csv", index=False
        )
        return DatasetOptions(group_pattern=r"g\d", shots=(1,))

    def test_a_column_that_is_called_as_such_columns_are(self, tmp_path):
        options = self.write(tmp_path / "a", "Class")
        info = build_dataset(tmp_path / "a", tmp_path / "d", options)
        assert info.classes == ("sand", "weed")
        assert any("classes are taken from the column 'Class'" in note for note in info.notes)

    def test_another_is_asked_for(self, tmp_path):
        options = self.write(tmp_path / "a", "kind")
        with pytest.raises(InputError, match=r"has no column 'label' to take labels from .*kind"):
            build_dataset(tmp_path / "a", tmp_path / "d", options)


class TestBuilt:
    OPTIONS = DatasetOptions(group_pattern=r"IMG_\d", test_groups=("IMG_3",))

    def test_photos_are_held_out_whole(self, weeds, tmp_path):
        info = build_dataset(weeds, tmp_path / "dataset", self.OPTIONS)
        assert info.counts == {"train": {"spurge": 6, "thistle": 6}, "test": {"spurge": 2, "thistle": 2}}
        assert (info.gsd_m, info.crs, info.label_from) == (None, None, {"folder": 16})
        rows = open_dataset(tmp_path / "dataset").split("test")
        assert set(rows["group"]) == {"IMG_3"}
        card = (tmp_path / "dataset" / "README.md").read_text()
        assert "no image is in both splits, byte for byte" in card
        assert "| IMG_3 | 2 | 2 | test |" in card

    def test_images_of_other_kinds_are_counted_and_named(self, weeds, tmp_path):
        for name in ("a", "b"):
            Image.new("RGB", (12, 12)).save(weeds / "spurge" / f"{name}.webp")
        info = build_dataset(weeds, tmp_path / "dataset", self.OPTIONS)
        assert info.notes == ("2 images of other kinds (.webp) in weeds left out, such as spurge/a.webp; make them PNG",)

    @pytest.mark.parametrize("name", ["None", "NA", "null", "nan"])
    def test_a_class_may_be_called_so(self, weeds, tmp_path, name):
        (weeds / "thistle").rename(weeds / name)
        build_dataset(weeds, tmp_path / "dataset", self.OPTIONS)
        dataset = open_dataset(tmp_path / "dataset")
        assert dataset.split("train")["class"].value_counts().to_dict() == {name: 6, "spurge": 6}
        assert validate_dataset(tmp_path / "dataset") == []

    def test_an_image_on_both_sides_is_leakage(self, weeds, tmp_path):
        (weeds / "spurge" / "IMG_3_again.png").write_bytes((weeds / "spurge" / "IMG_0_s0.png").read_bytes())
        with pytest.raises(
            LeakageError, match=r"1 image is both in train and in test, e.g. IMG_0_s0 and IMG_3_again; take one"
        ):
            build_dataset(weeds, tmp_path / "dataset", self.OPTIONS)
        assert not (tmp_path / "dataset").exists()

    def test_without_any_group_nothing_can_be_held_out(self, weeds, tmp_path):
        with pytest.raises(InputError, match=r"16 tiles do not say where they lie, .* pass `group_column`"):
            build_dataset(weeds, tmp_path / "dataset")

    def test_labels_from_a_file_need_places(self, weeds, tmp_path):
        with pytest.raises(InputError, match=r"does not say where its tiles lie, so that .*weed.gpkg cannot label them"):
            build_dataset(weeds, tmp_path / "dataset", DatasetOptions(labels=tmp_path / "weed.gpkg"))

    def test_the_split_that_there_is(self, weeds, tmp_path):
        for side, numbers in (("train", (0, 1, 2)), ("test", (3,))):
            for name in ("thistle", "spurge"):
                (weeds / side / name).mkdir(parents=True)
                for number in numbers:
                    for path in (weeds / name).glob(f"IMG_{number}_*"):
                        path.rename(weeds / side / name / path.name)
        info = build_dataset(weeds, tmp_path / "dataset", DatasetOptions(split_column="split"))
        assert info.counts == {"train": {"spurge": 6, "thistle": 6}, "test": {"spurge": 2, "thistle": 2}}
        assert info.split.given

    def test_a_split_column_that_says_something_else(self, weeds, tmp_path):
        files = sorted(path.relative_to(weeds).as_posix() for path in weeds.rglob("*.png"))
        pd.DataFrame({"file_name": files, "fold": ["a", "b"] * 8}).to_csv(weeds / "metadata.csv", index=False)
        with pytest.raises(InputError, match="column 'fold' says 'a'; it has to say train or test"):
            build_dataset(weeds, tmp_path / "dataset", DatasetOptions(split_column="fold"))
