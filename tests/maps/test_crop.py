"""What a map says of ground does not depend on how much else is mapped with it: to the byte."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from shapely import box

from spurgekit.classify import TrainOptions, load_model, train_model
from spurgekit.maps import MapOptions, map_site
from tests.chain import TILE_PX
from tests.openvino_here import needs_bfloat16, needs_openvino

SIDE_PX = 256
"""8 tiles a side."""

LEFT, TOP, WIDTH, HEIGHT = 64, 32, 160, 160
"""The crop, in pixels: 5 x 5 of the tiles, from the third column and the second row of them."""


@pytest.fixture(scope="module")
def pixels():
    """Noise of all scales, with holes of a few pixels and of a few tiles."""
    rng = np.random.default_rng(7)
    ground = sum(np.kron(rng.normal(0, 20, (3, SIDE_PX // k, SIDE_PX // k)), np.ones((k, k))) for k in (1, 4, 32, 64))
    valid = rng.random((SIDE_PX, SIDE_PX)) > 0.02
    valid[120:180, 150:210] = False
    return np.concatenate([np.clip(ground + 120, 1, 255), 255 * valid[None]]).astype(np.uint8)


@pytest.fixture
def site_and_crop(tmp_path, make_tif, pixels):
    grid = Affine(0.01, 0, 500_000, 0, -0.01, 5_000_000)
    rgba = {"colours": ("red", "green", "blue", "alpha"), "tiled": True, "blockxsize": 64, "blockysize": 64}
    crop = pixels[:, TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]
    return (
        make_tif(tmp_path / "site.tif", pixels, transform=grid, **rgba),
        make_tif(tmp_path / "crop.tif", crop, transform=grid @ Affine.translation(LEFT, TOP), **rgba),
    )


def mapped(image, folder, model, **options):
    with rasterio.open(map_site(image, model, folder, MapOptions(**options)).folder / "presence.tif") as file:
        return file.read(), file.transform


def inner(bands, transform, around):
    """The part of a map that another one lies on, but for cells at its rim."""
    left, top = (round(value) for value in ~transform @ (around[1].c, around[1].f))
    rows, columns = around[0].shape[1:]
    return bands[:, top : top + rows, left : left + columns]


@pytest.mark.parametrize(
    ("precision", "runtime"),
    [
        ("float32", "torch"),
        ("bfloat16", "torch"),
        pytest.param("float32", "openvino", marks=needs_openvino),
        pytest.param("bfloat16", "openvino", marks=needs_bfloat16),
    ],
)
@pytest.mark.parametrize(
    ("options", "rim"),
    [({}, 0), ({"stride_px": 16}, 2), ({"stride_px": 8, "batch_size": 3}, 4), ({"stride_px": 8, "blend": True}, 6)],
)
def test_the_map_of_a_crop_is_that_part_of_the_map(chain, tmp_path, site_and_crop, options, rim, precision, runtime):
    """At the rim of the crop, tiles that reach beyond their cells see less than they do on the site."""
    site, crop = site_and_crop
    model = load_model(chain.model, "cpu", views=1, precision=precision).run_by(runtime)
    whole, transform = mapped(site, tmp_path / "whole", model, **options)
    part = mapped(crop, tmp_path / "part", model, **options)
    expected = inner(whole, transform, part)
    own = slice(rim, expected.shape[1] - rim), slice(rim, expected.shape[2] - rim)
    assert 0 < np.isnan(expected[0, *own]).mean() < 0.5
    assert part[0][:, *own].tobytes() == expected[:, *own].tobytes()


@pytest.mark.parametrize("options", [{}, {"stride_px": 16}, {"min_valid": 0.0}, {"stride_px": 8, "blend": True}])
def test_the_map_of_an_area_of_interest_is_that_part_of_the_map(chain, tmp_path, site_and_crop, options):
    """Its tiles see beyond it."""
    site, _ = site_and_crop
    left, top = 500_000 + 0.01 * LEFT, 5_000_000 - 0.01 * TOP
    ground = box(left, top - 0.01 * HEIGHT, left + 0.01 * WIDTH, top)
    gpd.GeoDataFrame(geometry=[ground], crs="EPSG:32612").to_file(tmp_path / "aoi.gpkg")
    model = load_model(chain.model, "cpu", views=1)
    whole, transform = mapped(site, tmp_path / "whole", model, **options)
    part = mapped(site, tmp_path / "part", model, aoi=tmp_path / "aoi.gpkg", **options)
    assert part[0].shape[1:] == (HEIGHT // (cell := options.get("stride_px", TILE_PX)), WIDTH // cell)
    assert part[0].tobytes() == inner(whole, transform, part).tobytes()


@pytest.mark.parametrize(
    ("guided", "runtime"), [(False, "torch"), (True, "torch"), pytest.param(False, "openvino", marks=needs_openvino)]
)
def test_so_is_a_fine_map_where_windows_lie_alike(chain, tmp_path, make_tif, guided, runtime):
    """Windows of 2 x 2 cells, side by side, and the crop begins where one does. A cell is pooled with those around it."""
    fields = np.random.default_rng(3).integers(1, 256, (3, 160, 160))
    ground = np.kron(fields, np.ones((4, 4))).astype(np.uint8)
    left, top, side = 96, 64, 384
    site = make_tif(tmp_path / "site.tif", ground)
    moved = Affine(0.01, 0, 500_000 + 0.01 * left, 0, -0.01, 5_000_000 - 0.01 * top)
    crop = make_tif(tmp_path / "crop.tif", ground[:, top : top + side, left : left + side], transform=moved)
    options = TrainOptions(arm="mil", backbone="resnet10t", pretrained=False, image_size_px=TILE_PX, shots=4)
    train_model(chain.dataset, tmp_path / "model", options)
    model = load_model(tmp_path / "model", "cpu", views=1).run_by(runtime)
    whole, transform = mapped(site, tmp_path / "whole", model, resolution="fine", guided_filter=guided)
    part = mapped(crop, tmp_path / "part", model, resolution="fine", guided_filter=guided)
    expected, rim = inner(whole, transform, part), 6 if guided else 1
    assert expected.shape[1:] == (24, 24)
    np.testing.assert_array_equal(part[0][:, rim:-rim, rim:-rim], expected[:, rim:-rim, rim:-rim])
