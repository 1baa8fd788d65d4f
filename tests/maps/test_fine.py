import json
import math

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from torch import nn

from spurgekit.classify import ModelInfo, TileClassifier, TrainOptions, load_model, train_model
from spurgekit.classify.applicability import Applicability
from spurgekit.classify.model_info import HeldOut, Positions
from spurgekit.classify.position_head import PositionHead
from spurgekit.classify.training.network import PositionModel
from spurgekit.dataset.split_info import SplitInfo
from spurgekit.errors import InputError
from spurgekit.imagery import PixelGrid
from spurgekit.maps import MapOptions, load_map_model, map_site
from spurgekit.maps.fine import FineWindows, pool
from tests.chain import COLUMNS, ROWS, is_weed
from tests.maps.brightness import brightness_model

CELL = 16
R = 4.0
SLOPE = 10.0


class Light(nn.Module):
    """A backbone whose positions say by an angle how bright they are: (cos, sin) of a quarter turn from black to white.

    It says of positions of 32 px, upsampled, nothing that differs, so that positions can be worked out by hand.
    """

    def __init__(self):
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))
        self.areas = []

    def forward_intermediates(self, images, **_):
        self.areas.append(len(images) * images.shape[-1] * images.shape[-2])
        angle = nn.functional.avg_pool2d(images, CELL).mean(dim=1) * torch.pi / 2
        finer = torch.stack([angle.cos(), angle.sin()], dim=1)
        coarse = torch.ones(len(images), 2, *(n // 2 for n in finer.shape[2:]))
        return coarse, [finer, coarse]


def z_of(bright):
    """The logit of "bright" of a position of brightness 0 to 255."""
    return SLOPE * (np.sin(np.asarray(bright, np.float64) / 255 * np.pi / 2) - 0.5)


def p_of(bright):
    return 1 / (1 + np.exp(-z_of(bright)))


def light_model(*, views=1, tile_px=64, size_px=64, temperature=1.0, shift=0.0):
    head = PositionHead(4, 2, R)
    with torch.no_grad():
        head.linear.weight.zero_()
        head.linear.bias.copy_(torch.tensor([0.0, -SLOPE / 2]))
        head.linear.weight[1, 1] = SLOPE * 2**0.5  # the two stages are of length 1 together
    head.rescale((np.ones(2), np.array([0.0, shift])))
    info = ModelInfo(
        arm="mil",
        backbone="light",
        classes=("dark", "bright"),
        image_size_px=size_px,
        tile_size_px=tile_px,
        gsd_m=0.01,
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        head="multiple-instance",
        positions=Positions(features=4, stride_px=CELL, sharpness=R),
        views=views,
        temperature=temperature,
        training_counts={"dark": 1, "bright": 1},
        held_out=HeldOut(balanced_accuracy=1, confusion_matrix=((50, 0), (0, 50)), split=SplitInfo(by="site")),
    )
    return TileClassifier(info, PositionModel(Light(), head), torch.device("cpu"))


def cells(rows, columns, seed=0):
    """Brightness of cells, and the image of them."""
    bright = np.random.default_rng(seed).integers(20, 240, (rows, columns)).astype(np.uint8)
    return bright, np.repeat(np.kron(bright, np.ones((CELL, CELL), np.uint8))[None], 3, axis=0)


def read(folder):
    with rasterio.open(folder / "presence.tif") as file:
        return file.profile, file.read(), file.descriptions


def fine(**options):
    return MapOptions(resolution="fine", **options)


class TestCells:
    @pytest.mark.parametrize("views", [1, 8])
    @pytest.mark.parametrize("tile", [64, 256])
    def test_each_says_what_the_model_sees_in_it(self, tmp_path, make_tif, views, tile):
        bright, image = cells(40, 20)
        model = light_model(views=views, tile_px=tile, size_px=tile)
        made = map_site(make_tif(tmp_path / "a.tif", image), model, tmp_path / "map", fine())
        profile, bands, titles = read(made.folder)
        assert titles == (
            "probability of dark",
            "probability of bright",
            "uncertainty (entropy, 0 to 1)",
            "probability of dark in the tile around",
            "probability of bright in the tile around",
        )
        assert profile["transform"] == Affine(0.16, 0, 500_000, 0, -0.16, 5_000_000)
        assert made.cell_m == pytest.approx(0.16)
        assert bands[1] == pytest.approx(p_of(bright), abs=1e-4)
        assert bands[0] == pytest.approx(1 - bands[1], abs=1e-5)

    def test_the_tile_around_a_cell_is_pooled_from_its_positions(self, tmp_path, make_tif):
        bright, image = cells(9, 11)
        made = map_site(make_tif(tmp_path / "a.tif", image), light_model(temperature=2, shift=0.5), tmp_path / "map", fine())
        _, bands, _ = read(made.folder)
        assert bands[1] == pytest.approx(1 / (1 + np.exp(-z_of(bright) / 2)), abs=1e-4)
        # A tile of 4 cells about the centre of a cell: half of one, three, half of one.
        powers = np.exp(R * z_of(bright))[2:7, 3:8]
        side = np.array([0.5, 1, 1, 1, 0.5])
        pooled = np.log((side[:, None] * side * powers).sum() / 16) / R
        assert bands[4][4, 5] == pytest.approx(1 / (1 + np.exp(-(pooled + 0.5) / 2)), abs=1e-4)
        # At the corner there is a quarter of it.
        powers, side = np.exp(R * z_of(bright))[:3, :3], np.array([1, 1, 0.5])
        pooled = np.log((side[:, None] * side * powers).sum() / 6.25) / R
        assert bands[4][0, 0] == pytest.approx(1 / (1 + np.exp(-(pooled + 0.5) / 2)), abs=1e-4)

    def test_neither_windows_nor_strips_show(self, tmp_path, make_tif):
        _, image = cells(30, 21)
        path = make_tif(tmp_path / "a.tif", image)
        found = []
        for side in (64, 224, 512):  # windows of 4, 10 and 24 cells
            made = map_site(path, light_model(tile_px=side, size_px=side), tmp_path / str(side), fine(guided_filter=True))
            found.append(read(made.folder)[1][:3])
        assert found[1] == pytest.approx(found[0], abs=1e-5)
        assert found[2] == pytest.approx(found[0], abs=1e-5)

    def test_cells_that_do_not_divide_the_image_reach_beyond_it(self, tmp_path, make_tif):
        bright, image = cells(3, 4)
        made = map_site(make_tif(tmp_path / "a.tif", image[:, :40, :60]), light_model(), tmp_path / "map", fine(min_valid=0.3))
        _, bands, _ = read(made.folder)
        # The last row has 8 of 16 px, the last column 12: what is missing has the mean colour of the window's rest.
        assert bands[1].shape == (3, 4)
        assert bands[1][:2, :3] == pytest.approx(p_of(bright[:2, :3]), abs=1e-4)
        assert np.isfinite(bands[1]).all()
        made = map_site(tmp_path / "a.tif", light_model(), tmp_path / "strict", fine(min_valid=0.6))
        _, bands, _ = read(made.folder)
        assert np.isfinite(bands[1]).sum() == 2 * 4

    def test_a_model_whose_tiles_are_resized_sees_the_image_at_that_size(self, tmp_path, make_tif):
        bright, image = cells(6, 6)
        # Tiles of 128 px at 0.5 cm are shown to the backbone as 64 px.
        made = map_site(
            make_tif(tmp_path / "a.tif", np.kron(image, np.ones((1, 2, 2), np.uint8)), gsd=0.005),
            half_size(),
            tmp_path / "map",
            fine(),
        )
        profile, bands, _ = read(made.folder)
        assert profile["transform"].a == pytest.approx(0.16)
        assert bands[1] == pytest.approx(p_of(bright), abs=1e-4)

    def test_no_data(self, tmp_path, make_tif):
        bright, image = cells(6, 6)
        mask = np.ones((96, 96), bool)
        mask[:32, :32] = False
        mask[40:48] = False  # half of the third row
        made = map_site(make_tif(tmp_path / "a.tif", image, mask=mask), light_model(), tmp_path / "map", fine(min_valid=0.5))
        _, bands, _ = read(made.folder)
        assert np.argwhere(np.isnan(bands[1])).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
        assert np.isnan(bands[:, 0, 0]).all()
        whole = np.isfinite(bands[1])
        whole[2] = False
        assert bands[1][whole] == pytest.approx(p_of(bright[whole]), abs=1e-4)

    @pytest.mark.parametrize(("tile", "inner"), [(4, 4), (14, 10)])
    def test_ground_unlike_the_training_tiles_is_marked_window_by_window(self, tmp_path, make_tif, tile, inner):
        """In the north as bright as the training tiles, in the south not."""
        bright, _ = cells(4 * inner, 3 * inner)
        bright[: 2 * inner], bright[2 * inner :] = 60, 220
        image = np.repeat(np.kron(bright, np.ones((CELL, CELL), np.uint8))[None], 3, axis=0)
        angle = 60 / 255 * np.pi / 2
        of_north = np.array([np.cos(angle), np.sin(angle), 0.5**0.5, 0.5**0.5], np.float32) / 2**0.5
        model = light_model(tile_px=tile * CELL, size_px=tile * CELL)
        model.applicability = Applicability(np.stack([of_north, of_north * 1.1]), scale=0.1, threshold=1.0)
        made = map_site(make_tif(tmp_path / "a.tif", image), model, tmp_path / "map", fine())
        _, bands, titles = read(made.folder)
        assert titles[-1] == "dissimilarity from the training tiles"
        assert bands[-1][:inner] == pytest.approx(np.zeros((inner, 3 * inner)), abs=1e-3)
        assert (bands[-1][2 * inner :] > 1).all()  # windows next to the border see some of the other side
        assert made.unlike_m2 == pytest.approx((bands[-1] > 1).sum() * 0.16**2)


def half_size():
    model = light_model(tile_px=128, size_px=64)
    model.info = model.info.model_copy(update={"gsd_m": 0.005})
    return model


@pytest.mark.parametrize("backbone", ["resnet10t", "convnext_atto", "vit_tiny_patch16_dinov3_qkvb"])
def test_the_drawn_site_mapped_finer_than_its_tiles(chain, tmp_path, backbone):
    """Two columns of sand and two of weed, by a model that was trained on the labels of tiles."""
    options = TrainOptions(arm="mil", backbone=backbone, pretrained=False, image_size_px=64, shots=8)
    train_model(chain.dataset, tmp_path / "model", options)
    assert load_map_model(tmp_path / "model", "cpu").info.views == 4
    model = load_model(tmp_path / "model", "cpu", views=1)
    made = map_site(chain.site, model, tmp_path / "map", fine())
    profile, bands, _ = read(made.folder)
    # Tiles of 32 px are shown to the backbone as 64 px: a position of 16 px is 8 px of the image.
    assert (profile["width"], profile["height"]) == (COLUMNS * 4, ROWS * 4)
    assert profile["transform"].a == pytest.approx(0.08)
    true = np.array([is_weed(0, column // 4) for column in range(COLUMNS * 4)])
    found = bands[1] > 0.5
    assert (found == true).mean() > 0.9
    assert (found[:, 1::4] == true[1::4]).mean() > 0.95  # not at an edge between columns


class TestCost:
    def test_forward_passes_a_tile_area(self, tmp_path, make_tif):
        _, image = cells(40, 50)
        model = light_model(tile_px=224, size_px=224)
        map_site(make_tif(tmp_path / "a.tif", image), model, tmp_path / "map", fine(batch_size=5))  # of 4 x 5 windows
        # Windows of 14 cells, of which 10 are told of.
        assert sum(model.network.model.backbone.areas) / image[0].size == pytest.approx((14 / 10) ** 2)

    @pytest.mark.parametrize(("tile", "inner", "halo"), [(64, 4, 0), (224, 10, 2), (256, 12, 2), (512, 24, 4)])
    def test_windows_are_as_large_as_tiles(self, tile, inner, halo):
        grid = PixelGrid(5000, 5000, Affine(0.01, 0, 500_000, 0, -0.01, 5_000_000))
        windows = FineWindows.of(grid, light_model(tile_px=tile, size_px=tile))
        assert (windows.inner, windows.halo, windows.columns) == (inner, halo, math.ceil(313 / inner))


class TestPool:
    def test_equal_positions_give_their_own_logit(self):
        logits = np.full((2, 3, 6, 7), 1.5, np.float32)
        assert pool(logits, np.ones((6, 7), np.float32), 3, R) == pytest.approx(np.full((3, 6, 7), 1.5))

    def test_of_an_odd_number_of_positions(self):
        logits = np.zeros((1, 1, 5, 5), np.float32)
        logits[0, 0, 2, 2] = 2
        found = pool(logits, np.ones((5, 5), np.float32), 3, R)[0]
        assert found[1, 1] == pytest.approx(math.log((math.exp(8) + 8) / 9) / 4)
        assert found[0, 0] == 0

    def test_what_has_no_data_takes_no_part(self):
        logits = np.full((1, 1, 4, 4), 3, np.float32)
        logits[..., 2:] = 50
        share = np.ones((4, 4), np.float32)
        share[:, 2:] = 0
        assert pool(logits, share, 4, R)[0, :, :2] == pytest.approx(np.full((4, 2), 3.0))


class TestWhatCannotBe:
    def refused(self, tmp_path, make_tif, match, model, options):
        site = make_tif(tmp_path / "a.tif", cells(4, 4)[1])
        with pytest.raises(InputError, match=match) as caught:
            map_site(site, model, tmp_path / "map", options)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "map").exists()

    def test_a_model_of_another_arm(self, tmp_path, make_tif):
        match = "the model is of the arm probe, which says nothing of places within a tile; train one with `arm=mil`"
        self.refused(tmp_path, make_tif, match, brightness_model(64, bands=3), fine())

    def test_options_that_contradict_each_other(self):
        with pytest.raises(InputError, match="`stride_px` is of cells that are told from tiles; leave it out, or"):
            fine(stride_px=32)
        with pytest.raises(InputError, match="`guided_filter` is for cells finer than tiles; pass `resolution=fine`"):
            MapOptions(guided_filter=True)


def test_the_record_says_how(tmp_path, make_tif):
    made = map_site(make_tif(tmp_path / "a.tif", cells(4, 4)[1]), light_model(), tmp_path / "map", fine(guided_filter=True))
    parameters = json.loads((made.folder / "provenance.json").read_text())["parameters"]
    assert (parameters["resolution"], parameters["guided_filter"]) == ("fine", True)
    assert (made.folder / "presence_tile_probability.qml").is_file()
