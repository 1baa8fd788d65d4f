"""Photographs of any shape, size and colours as squares of one side."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.tile_reader import batches, read_tile
from spurgekit.dataset import DatasetOptions, build_dataset, open_dataset, validate_dataset
from spurgekit.dataset.centre_crop import centre_square, plan_squares, read_head
from spurgekit.dataset.imagefolder import read_imagefolder
from spurgekit.diffusion.image_tensors import read_picture
from spurgekit.errors import InputError
from spurgekit.imagery.sheet import thumbnail

KEPT = "black pixels, which are data (in a dataset 1 of 255); make black that holds none transparent"
RED, GREEN, BLUE = (200, 10, 10), (10, 200, 10), (10, 10, 200)


def thirds(size, colours=(RED, GREEN, BLUE)):
    """A picture of three parts along its longer side, of which the middle one is a square."""
    image = Image.new("RGB", size)
    width, height = size
    short = min(size)
    for number, colour in enumerate(colours):
        start = (0, (max(size) - short) // 2, (max(size) + short) // 2)[number]
        image.paste(colour, (start, 0, width, height) if width > height else (0, start, width, height))
    return image


def saved(path, image, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **how)
    return path


def square_of(path, side_px):
    made = centre_square(path, path.read_bytes(), side_px)
    path.with_name("made.png").write_bytes(made)
    return np.asarray(Image.open(path.with_name("made.png")))


class TestCentre:
    @pytest.mark.parametrize("size", [(90, 30), (30, 90)])
    def test_the_square_in_the_middle_is_resized(self, tmp_path, size):
        made = square_of(saved(tmp_path / "a.png", thirds(size)), 12)
        assert made.shape == (12, 12, 3)
        assert (made[2:-2, 2:-2] == GREEN).all()  # its rim blends with what lies beside it, as where all is resized first

    def test_of_an_odd_remainder_the_left_or_upper_half_is_smaller(self, tmp_path):
        pixels = np.arange(1, 6, dtype=np.uint8).reshape(1, 5, 1).repeat(2, 0).repeat(3, 2)  # 2 x 5: columns 1, 2, 3, 4, 5
        assert square_of(saved(tmp_path / "a.png", Image.fromarray(pixels)), 2)[0, :, 0].tolist() == [2, 3]

    def test_what_is_turned_by_exif_is_upright(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees clockwise: what is stored on the left is above
        image = Image.new("RGB", (64, 32), RED)
        image.paste(BLUE, (32, 0, 64, 32))
        made = square_of(saved(tmp_path / "a.jpg", image, exif=exif, quality=100, subsampling=0), 32)
        assert np.abs(made[2, 16].astype(int) - RED).max() < 8
        assert np.abs(made[29, 16].astype(int) - BLUE).max() < 8

    @pytest.mark.parametrize(("mode", "suffix"), [("L", "png"), ("1", "png"), ("P", "png"), ("LA", "png"), ("CMYK", "jpg")])
    def test_any_colours_become_rgb(self, tmp_path, mode, suffix):
        path = saved(tmp_path / f"a.{suffix}", Image.new("RGB", (40, 20), "white").convert(mode))
        made = square_of(path, 10)
        assert made.shape == (10, 10, 3)
        assert made.min() >= 250

    def test_what_is_transparent_has_no_data(self, tmp_path):
        image = Image.new("RGBA", (40, 20), (*GREEN, 255))
        image.paste((255, 255, 255, 0), (0, 0, 20, 20))
        made = square_of(saved(tmp_path / "a.png", image), 20)
        assert (made[:, :10] == 0).all()
        assert (made[:, 10:] == GREEN).all()  # a rim of nothing takes nothing of its white

    def test_what_is_black_has_data(self, tmp_path):
        image = Image.new("RGBA", (40, 20), (*GREEN, 255))
        image.paste((0, 0, 0, 255), (0, 0, 20, 20))
        image.paste((0, 0, 0, 0), (0, 0, 20, 10))
        made = square_of(saved(tmp_path / "a.png", image), 20)
        assert (made[:10, :10] == 0).all()
        assert (made[11:, :9] == 1).all()
        assert (made[:, 10:] == GREEN).all()

    def test_a_sheet_shows_the_centre_of_what_is_no_square(self, tmp_path):
        path = saved(tmp_path / "a.png", thirds((384, 128)))
        assert (thumbnail(path, 128) == GREEN).all()


class TestPlan:
    def heads(self, tmp_path, *images):
        return [read_head(saved(tmp_path / f"{number}.png", image)) for number, image in enumerate(images)]

    def test_squares_of_one_size_stay_as_they_are(self, tmp_path):
        squares = plan_squares(self.heads(tmp_path, *[Image.new("L", (9, 9), 90)] * 3), None)
        assert (squares.side_px, squares.is_made, squares.notes) == (9, (False,) * 3, ())

    def test_the_side_is_the_median_of_short_sides_and_what_has_it_stays(self, tmp_path):
        images = [Image.new("RGB", size, RED) for size in ((30, 20), (40, 40), (50, 60))]
        squares = plan_squares(self.heads(tmp_path, *images), None)
        assert (squares.side_px, squares.is_made) == (40, (True, False, True))
        assert squares.notes == (
            "2 of 3 images are not square: their short side is resized to 40 px and the centre is taken",
            "1 of 3 images enlarged to 40 px, which adds no detail",
        )

    def test_the_side_is_at_most_that_of_stable_diffusion(self, tmp_path):
        images = [Image.new("RGB", size, RED) for size in ((900, 600), (600, 600))]
        squares = plan_squares(self.heads(tmp_path, *images), None)
        assert squares.side_px == 512
        assert squares.notes == (
            "1 of 2 images is not square: its short side is resized to 512 px and the centre is taken",
            "1 of 2 images is square and resized to 512 px",
        )

    def test_grey_among_colours_is_read_as_rgb(self, tmp_path):
        squares = plan_squares(self.heads(tmp_path, Image.new("RGB", (9, 9), RED), Image.new("L", (9, 9), 90)), None)
        assert (squares.is_made, squares.notes) == ((False, True), ("1 of 2 images read as RGB: 1 of grey",))

    BLACK = f"1 of 3 images has {KEPT}"

    @pytest.mark.parametrize("suffix", ["png", "jpg"])
    def test_of_squares_of_one_size_those_with_black_pixels_are_made(self, tmp_path, suffix):
        images = [Image.new("RGB", (32, 32), colour) for colour in (RED, "black", GREEN)]
        heads = [read_head(saved(tmp_path / f"{number}.{suffix}", image)) for number, image in enumerate(images)]
        squares = plan_squares(heads, None)
        assert (squares.side_px, squares.is_made, squares.notes) == (32, (False, True, False), (self.BLACK,))
        assert not any(plan_squares(heads, None, is_placed=True).is_made)

    def test_beside_others_that_are_made_too(self, tmp_path):
        images = [Image.new("RGB", (9, 9), RED), Image.new("RGB", (9, 9), "black"), Image.new("RGB", (9, 18), GREEN)]
        squares = plan_squares(self.heads(tmp_path, *images), None)
        assert squares.is_made == (False, True, True)
        assert squares.notes[-1] == self.BLACK

    def test_a_grey_one_among_colours_changes_nothing_of_others(self, tmp_path):
        images = [Image.new("L", (9, 9), 90), Image.new("RGB", (9, 9), RED), Image.new("RGB", (9, 9), "black")]
        assert plan_squares(self.heads(tmp_path, *images), None).is_made == (True, False, True)

    def test_grey_ones_of_which_one_has_black_pixels_all_become_rgb(self, tmp_path):
        squares = plan_squares(self.heads(tmp_path, *[Image.new("L", (9, 9), grey) for grey in (90, 0, 1)]), None)
        assert squares.is_made == (True,) * 3
        assert squares.notes == ("3 of 3 images read as RGB: 3 of grey", self.BLACK)

    def test_what_says_itself_where_it_has_data_stays(self, tmp_path):
        images = [Image.new("RGBA", (9, 9), (0, 0, 0, 0)), Image.new("RGBA", (9, 9), (1, 0, 0, 255))]
        assert plan_squares(self.heads(tmp_path, *images), None).is_made == (False, False)
        heads = [read_head(saved(tmp_path / "a.tif", Image.new("RGB", (9, 9))))]
        assert plan_squares(heads, None).is_made == (False,)

    def test_a_side_that_is_asked_for(self, tmp_path):
        squares = plan_squares(self.heads(tmp_path, *[Image.new("RGB", (9, 9))] * 2), 6)
        assert (squares.side_px, squares.is_made) == (6, (True, True))

    def test_what_lies_on_known_ground_is_not_resized(self, tmp_path):
        heads = self.heads(tmp_path, Image.new("RGB", (9, 9)), Image.new("RGB", (9, 8)))
        with pytest.raises(InputError, match=r"1\.png is 9 x 8 px, and tiles of known `gsd_m` are squares of one size"):
            plan_squares(heads, None, is_placed=True)
        with pytest.raises(InputError, match=r"0\.png is 9 x 9 px, .* that are not resized"):
            plan_squares(heads[:1], 6, is_placed=True)

    def test_more_than_bytes_cannot_be_told_as_rgb(self, tmp_path):
        with pytest.raises(InputError, match=r"1\.png is no picture of 8 bits a colour \(I;16\)"):
            plan_squares(self.heads(tmp_path, Image.new("RGB", (9, 9)), Image.new("I;16", (9, 8))), None)


@pytest.fixture
def photos(tmp_path):
    """Eight photos of each of two classes, of four shapes, each of a group of its own."""
    rng = np.random.default_rng(0)
    for name in ("lily", "plane"):
        for number in range(8):
            height, width = ((24, 40), (40, 24), (32, 32), (20, 60))[number % 4]
            image = Image.fromarray(rng.integers(1, 256, (height, width, 3), np.uint8))
            saved(tmp_path / "photos" / name / f"{name}_{number}.png", image.convert("L") if number == 4 else image)
    return tmp_path / "photos"


class TestDataset:
    OPTIONS = DatasetOptions(group_pattern=r"\d", test_groups=("6", "7"), shots=(1, 2), trials=1)

    def test_it_is_a_dataset_like_any_other(self, photos, tmp_path):
        info = build_dataset(photos, tmp_path / "dataset", self.OPTIONS)
        assert info.size_px == 24
        assert info.notes == (
            "12 of 16 images are not square: their short side is resized to 24 px and the centre is taken",
            "4 of 16 images are square and resized to 24 px",
            "4 of 16 images enlarged to 24 px, which adds no detail",
            "2 of 16 images read as RGB: 2 of grey",
        )
        assert validate_dataset(tmp_path / "dataset") == []
        rows = open_dataset(tmp_path / "dataset").split("train")
        assert next(batches(rows["path"].tolist(), 12)).shape == (12, 3, 24, 24)
        first = rows[rows["tile_id"] == "lily_0"]["path"].item()
        original = np.asarray(Image.open(photos / "lily" / "lily_0.png"))
        assert (np.asarray(Image.open(first)) == original[:, 8:32]).all()  # of 24 x 40 px the middle
        assert (read_picture(first) == original[:, 8:32]).all()  # which is what augment edits
        assert "square_px" not in pd.read_parquet(tmp_path / "dataset" / "tiles.parquet")

    def test_a_jpeg_that_is_made_is_a_png_and_one_that_fits_stays(self, photos, tmp_path):
        fits = saved(photos / "lily" / "more_0.jpg", Image.new("RGB", (24, 24), RED))
        saved(photos / "lily" / "more_1.jpg", Image.new("RGB", (25, 24), BLUE))
        build_dataset(photos, tmp_path / "dataset", self.OPTIONS)
        folder = tmp_path / "dataset" / "train" / "0-lily"
        assert (folder / "more_0.jpg").read_bytes() == fits.read_bytes()
        assert Image.open(folder / "more_1.png").size == (24, 24)

    def test_black_looks_black_to_a_classifier_and_to_a_diffusion_model(self, tmp_path):
        for number, name in enumerate(["square", "none"] * 4):
            image = Image.new("RGB", (8, 8), (200 + number,) * 3)
            if name == "square":
                image.paste("black", (2, 2, 6, 6))
            saved(tmp_path / "shapes" / name / f"{name}_{number}.png", image)
        options = DatasetOptions(group_pattern=r"\d", shots=(1,), trials=1)
        info = build_dataset(tmp_path / "shapes", tmp_path / "dataset", options)
        assert info.notes == (self.BLACK,)
        (path,) = (tmp_path / "dataset").glob("*/*/square_0.png")
        black = np.zeros((8, 8), np.bool_)
        black[2:6, 2:6] = True
        assert (read_picture(path) == np.where(black, 1, 200)[..., None]).all()
        shown = Preprocess(8, (0.5,) * 3, (0.5,) * 3, torch.device("cpu"))(read_tile(path)[None])
        assert (shown[0, :, black] < -0.99).all()

    BLACK = f"4 of 8 images have {KEPT}"

    def test_datasets_reads_it(self, photos, tmp_path):
        datasets = pytest.importorskip("datasets")
        build_dataset(photos, tmp_path / "dataset", self.OPTIONS)
        loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "dataset"), cache_dir=str(tmp_path / "cache"))
        assert {row["image"].size for side in ("train", "test") for row in loaded[side]} == {(24, 24)}

    def test_two_folders_of_one_side(self, photos, tmp_path):
        other = tmp_path / "more"
        for name in ("lily", "plane"):
            for number in (0, 6):
                saved(other / name / f"{name[0]}_{number}.png", thirds((60, 50), (RED, GREEN, BLUE)[:: 1 if number else -1]))
        with pytest.raises(InputError, match=r"tiles of 24 px and of 50 px; .* or pass `crop_px` where they are folders of"):
            build_dataset([photos, other], tmp_path / "dataset", DatasetOptions(group_pattern=r"\d"))
        options = DatasetOptions(group_pattern=r"\d", crop_px=30, test_share=0.3)
        assert build_dataset([photos, other], tmp_path / "dataset", options).size_px == 30

    def test_a_damaged_one_leaves_nothing_behind(self, photos, tmp_path):
        path = saved(photos / "lily" / "cut_1.jpg", Image.effect_noise((80, 60), 90).convert("RGB"))
        path.write_bytes(path.read_bytes()[:-900])
        with pytest.raises(InputError, match=r"cut_1\.jpg cannot be decoded; it is damaged or was cut off; take it out$"):
            build_dataset(photos, tmp_path / "dataset", self.OPTIONS)
        assert not (tmp_path / "dataset").exists()

    def test_a_column_of_a_table_makes_no_squares(self, tmp_path):
        for name in ("a", "b"):
            saved(tmp_path / "photos" / name / f"{name}.png", Image.new("RGB", (9, 9), RED))
        pd.DataFrame({"file_name": ["a/a.png"], "square_px": [5]}).to_csv(tmp_path / "photos" / "metadata.csv", index=False)
        assert "square_px" not in read_imagefolder(tmp_path / "photos").rows

    def test_tiles_are_not_cropped(self, chain):
        with pytest.raises(InputError, match="`crop_px` is for folders of images"):
            build_dataset(chain.tiles, "unused", DatasetOptions(crop_px=30))

    @pytest.mark.parametrize("side_px", [0, -3, 8193])
    def test_a_side_that_cannot_be(self, side_px):
        with pytest.raises(InputError, match=f"`crop_px={side_px}` cannot be the side of a tile; pass 1 to 8,192 pixels"):
            DatasetOptions(crop_px=side_px)
