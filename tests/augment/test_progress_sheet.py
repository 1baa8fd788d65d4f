"""Contact sheets of synthetic tiles, read back pixel by pixel."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from spurgekit.augment import progress_sheet
from spurgekit.augment.progress_sheet import FADED, MARGIN_PX, ROW_PX, SIDE_PX, STEP_PX, TEXT_PX, write_contact_sheet

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
GREY = (160, 160, 160)


class Run:
    """Real tiles of two classes and edits of them, each of one colour: red is the tile, green the strength, blue the number."""

    def __init__(self, folder, tiles=3, images=8):
        self.folder, self.sources, rows = folder, {}, []
        for number in range(2 * tiles):
            tile, name = f"site_r{number:05d}", ("sand", "weed")[number % 2]
            self.sources[tile] = self.paint(f"real/{tile}.png", (10 * number, 0, 0))
            for i in range(images):
                strength = STRENGTHS[i % 4]
                file = f"made/{tile}_{i:03d}.png"
                self.paint(file, (10 * number, int(200 * strength), i + 1))
                rows.append({"file_name": file, "tile_id": tile, "class": name, "strength": strength, "prompt": f"a {name}"})
        self.rows = pd.DataFrame(rows)

    def paint(self, name, colour):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (20, 20), colour).save(path)
        return path

    def draw(self, rows=None, **how):
        path = self.folder / "sheet.png"
        write_contact_sheet(self.rows if rows is None else rows, self.folder, path, **{"sources": self.sources, **how})
        with Image.open(path) as image:
            return Sheet(np.asarray(image), how.get("sources", self.sources) is not None)


class Sheet:
    def __init__(self, pixels, has_real):
        self.pixels = pixels
        self.left = MARGIN_PX + TEXT_PX + progress_sheet.GAP_PX
        self.first = self.left + has_real * (STEP_PX + 2 * progress_sheet.GAP_PX)
        self.top = MARGIN_PX + progress_sheet.LETTERS_PX + progress_sheet.NAME_PX + 4 * progress_sheet.GAP_PX

    @property
    def tiles(self):
        return (len(self.pixels) - self.top) // ROW_PX

    def square(self, number, left):
        """The one colour of a tile."""
        top = self.top + number * ROW_PX
        square = self.pixels[top : top + SIDE_PX, left : left + SIDE_PX]
        assert (square == square[0, 0]).all()
        return tuple(square[0, 0].tolist())

    def real(self, number):
        return self.square(number, self.left)

    def made(self, number):
        """The colours of a row."""
        count = (self.pixels.shape[1] - MARGIN_PX - self.first) // STEP_PX
        return [self.square(number, self.first + column * STEP_PX) for column in range(count)]

    def text(self, number):
        """What is before a row, as pixels."""
        top = self.top + number * ROW_PX
        return self.pixels[top : top + SIDE_PX, MARGIN_PX : self.left - 2]


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_each_row_is_a_real_tile_and_what_was_made_from_it(run):
    sheet = run.draw()
    assert sheet.tiles == 6
    for number in range(6):
        tile = sheet.real(number)[0]
        made = sheet.made(number)
        assert {red for red, _, _ in made} == {tile}
        assert [green for _, green, _ in made] == [50, 50, 100, 100, 150, 150, 200, 200]
        assert sorted(blue for _, _, blue in made) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {sheet.real(number)[0] for number in range(6)} == {0, 10, 20, 30, 40, 50}


def test_few_of_many_are_spread_over_strengths_and_classes(run):
    sheet = run.draw(tiles=2, columns=4)
    assert sheet.tiles == 2
    assert {sheet.real(number)[0] // 10 % 2 for number in range(2)} == {0, 1}  # one of each class
    for number in range(2):
        greens = [green for _, green, _ in sheet.made(number)]
        assert greens[0] == 50
        assert greens[-1] == 200
        assert greens == sorted(greens)
        assert len(greens) == 4


def test_classes_are_below_each_other(run):
    sheet = run.draw()
    assert [sheet.real(number)[0] // 10 % 2 for number in range(6)] == [0, 0, 0, 1, 1, 1]
    assert not (sheet.text(0) == sheet.text(5)).all()
    assert (sheet.text(0) == sheet.text(2)).all()


def test_as_far_as_the_run_has_come(run):
    first = run.rows[run.rows["tile_id"] == "site_r00001"].iloc[:3]
    sheet = run.draw(first)
    assert sheet.tiles == 1
    assert [blue for _, _, blue in sheet.made(0)] == [1, 2, 3]


def test_images_of_several_support_sets_once(run):
    rows = run.rows[run.rows["tile_id"] == "site_r00001"].iloc[:3]
    assert len(run.draw(pd.concat([rows, rows.assign(trial=1)])).made(0)) == 3


def test_without_the_real_tiles(run):
    sheet = run.draw(sources=None)
    assert [green for _, green, _ in sheet.made(0)] == [50, 50, 100, 100, 150, 150, 200, 200]


def test_an_image_that_cannot_be_read_is_grey(run):
    (run.folder / run.rows["file_name"][0]).write_bytes(b"not an image")
    shown = [colour for number in range(6) for colour in run.draw().made(number)]
    assert shown.count(GREY) == 1


def test_an_image_that_is_left_out_is_faded(run):
    rows = run.rows[run.rows["tile_id"] == "site_r00001"].assign(weight=1.0)
    plain = run.draw(rows).made(0)
    rows.loc[rows["strength"] == 1, "weight"] = 0.0
    shown = run.draw(rows).made(0)
    assert shown[:6] == plain[:6]
    for faded, colour in zip(shown[6:], plain[6:], strict=True):
        assert faded == tuple(round(value * (1 - FADED) + 255 * FADED) for value in colour)


def test_edits_to_another_class_are_with_their_own_tile_and_say_so(run):
    rows = run.rows.assign(source_class=run.rows["class"])
    before = run.draw(rows)
    rows.loc[rows["tile_id"] == "site_r00000", "class"] = "weed"
    after = run.draw(rows)
    assert [after.real(number) for number in range(6)] == [before.real(number) for number in range(6)]
    number = [after.real(number)[0] for number in range(6)].index(0)
    assert (after.text(number) == before.text(number)).all()
    strip = slice(after.top + number * ROW_PX + SIDE_PX, after.top + (number + 1) * ROW_PX - 2 * progress_sheet.GAP_PX)
    assert (after.pixels[strip] != before.pixels[strip]).any()


@pytest.mark.parametrize("prompt", ["", None, "word " * 200, "w" * 300, "a photo of <weed> beside a trail in the snow"])
def test_prompts_stay_in_their_column(run, prompt):
    sheet = run.draw(run.rows.assign(prompt=prompt))
    assert sheet.tiles == 6
    assert len(sheet.made(0)) == 8
    above = sheet.pixels[sheet.top + SIDE_PX + 2 : sheet.top + ROW_PX - progress_sheet.GAP_PX, MARGIN_PX : sheet.left - 2]
    assert (above == 255).all()  # nor do they run below their row


def test_strengths_that_there_are_not(run):
    assert len(run.draw(run.rows.assign(strength=np.nan)).made(0)) == 8


def test_the_same_rows_give_the_same_bytes_and_nothing_is_left_beside_them(run):
    run.draw()
    first = (run.folder / "sheet.png").read_bytes()
    run.draw(run.rows.sample(frac=1, random_state=0).sort_values("class", kind="stable"))
    assert (run.folder / "sheet.png").read_bytes() == first
    assert {path.name for path in run.folder.iterdir()} == {"sheet.png", "real", "made"}


def test_the_title_widens_the_sheet(run):
    narrow = run.draw(run.rows.iloc[:1])
    wide = run.draw(run.rows.iloc[:1], title="synthetic tiles of a very long campaign in the far north " * 3)
    assert wide.pixels.shape[1] > narrow.pixels.shape[1]
