from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.features import rasterize
from scipy.ndimage import binary_dilation, binary_erosion

from spurgekit.errors import InputError
from spurgekit.imagery import open_raster
from spurgekit.simulate import SimulatedSite, simulate_site

SIZE_M, GSD_M, SHARE = 10.0, 0.0125, 0.12
SIZE_PX = 800


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSite:
    return simulate_site(tmp_path_factory.mktemp("site"), size_m=SIZE_M, gsd_m=GSD_M, weed_share=SHARE, seed=4)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


def test_the_image_is_an_rgba_orthomosaic_that_the_reader_takes(site: SimulatedSite) -> None:
    with rasterio.open(site.image) as image:
        assert (image.count, image.dtypes[0], image.block_shapes[0]) == (4, "uint8", (512, 512))
        assert image.colorinterp[3] == ColorInterp.alpha
        assert image.profile["interleave"] == "pixel"
        assert image.compression.name == "deflate"
    with open_raster(site.image) as raster:
        assert raster.gsd_m == pytest.approx(GSD_M)
        assert raster.bands == (1, 2, 3)
        assert raster.notes == ()


def test_all_three_files_lie_on_the_same_ground(site: SimulatedSite) -> None:
    with rasterio.open(site.image) as image, rasterio.open(site.truth) as truth:
        assert image.shape == truth.shape == (SIZE_PX, SIZE_PX)
        assert image.transform == truth.transform == rasterio.Affine(GSD_M, 0, 495_000, 0, -GSD_M, 5_063_000)
        assert image.crs == truth.crs == rasterio.crs.CRS.from_epsg(32612)
        bounds = image.bounds
    patches = gpd.read_file(site.weed, layer="weed")
    assert patches.crs.to_epsg() == 32612
    left, bottom, right, top = patches.total_bounds
    assert bounds.left <= left < right <= bounds.right
    assert bounds.bottom <= bottom < top <= bounds.top


def test_the_truth_knows_nothing_outside_the_mosaic(site: SimulatedSite) -> None:
    *rgb, alpha = read(site.image)
    truth = read(site.truth)[0]
    assert set(np.unique(alpha)) == {0, 255}
    assert set(np.unique(truth)) == {0, 1, 255}
    assert np.array_equal(alpha == 0, truth == 255)
    assert not np.stack(rgb)[:, alpha == 0].any()
    assert 0.06 < np.mean(alpha == 0) < 0.18


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_the_weed_covers_about_the_share_asked_for(tmp_path: Path, share: float) -> None:
    truth = read(simulate_site(tmp_path, size_m=8, weed_share=share, seed=1).truth)
    assert np.sum(truth == 1) / np.sum(truth != 255) == pytest.approx(share, rel=0.3)


def test_the_patches_are_drawn_where_the_truth_has_weed(site: SimulatedSite) -> None:
    with rasterio.open(site.truth) as dataset:
        weed, transform = dataset.read(1) == 1, dataset.transform
    patches = gpd.read_file(site.weed)
    assert patches.is_valid.all()
    assert set(patches.geom_type) == {"Polygon"}
    assert set(patches["species"]) == {"leafy spurge"}
    assert patches["area_m2"].to_numpy() == pytest.approx(patches.area.to_numpy(), abs=1e-4)
    drawn = rasterize(patches.geometry, weed.shape, transform=transform) == 1
    # Apart from splinters, the edges are within 3 px of each other.
    assert np.sum(drawn & ~binary_dilation(weed, iterations=3)) < 1e-3 * weed.sum()
    assert np.sum(binary_erosion(weed, iterations=3) & ~drawn) < 1e-3 * weed.sum()
    assert patches["area_m2"].sum() == pytest.approx(weed.sum() * GSD_M**2, rel=0.03)


def test_the_weed_differs_in_texture_more_than_in_brightness(site: SimulatedSite) -> None:
    red, green, blue, alpha = read(site.image).astype(float)
    truth = read(site.truth)[0]
    grey, yellowness = (red + green + blue) / 3, green - blue
    weed, other = truth == 1, (truth == 0) & (alpha > 0)
    assert grey[weed].mean() == pytest.approx(grey[other].mean(), rel=0.15)
    assert yellowness[weed].std() > 1.5 * yellowness[other].std()


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (simulate_site(tmp_path / run, size_m=5, seed=7) for run in ("first", "second"))
    for path in (first.image, first.truth, first.weed):
        assert path.read_bytes() == (second.image.parent / path.name).read_bytes(), path.name


def test_another_seed_or_name_gives_another_site(tmp_path: Path) -> None:
    truths = [
        read(simulate_site(tmp_path, name=name, size_m=4, seed=seed).truth) for name, seed in (("a", 0), ("a", 1), ("b", 0))
    ]
    assert not np.array_equal(truths[0], truths[1])
    assert not np.array_equal(truths[0], truths[2])


def test_a_site_with_hardly_any_weed_has_an_empty_layer(tmp_path: Path) -> None:
    site = simulate_site(tmp_path, size_m=3.2, weed_share=0.0001)
    assert gpd.read_file(site.weed, layer="weed").empty
    assert not (read(site.truth) == 1).any()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"size_m": 1.0}, "pass a size from 3.2 to 102.4 m"),
        ({"size_m": 1000.0}, "pass a size from 3.2 to 102.4 m"),
        ({"size_m": float("nan")}, "pass a size"),
        ({"gsd_m": 0.0}, "pass one up to 0.1 m"),
        ({"gsd_m": 0.5}, "pass one up to 0.1 m"),
        ({"weed_share": 0.0}, "pass one between 0 and 0.6"),
        ({"weed_share": 0.6}, "pass one between 0 and 0.6"),
        ({"seed": -1}, "pass 0 or more"),
        ({"name": "../site"}, "pass letters, digits"),
        ({"crs": "EPSG:4326"}, "pass a projected CRS such as EPSG:32612"),
        ({"crs": "EPSG:2256"}, "pass a projected CRS such as EPSG:32612"),  # Montana in feet
        ({"crs": "spurge"}, "pass a code such as EPSG:32612"),
        ({"origin": (float("inf"), 0.0)}, "pass the x and y of the upper left corner"),
    ],
)
def test_arguments_that_cannot_serve_are_refused_before_anything_is_written(
    tmp_path: Path, arguments: dict[str, object], hint: str
) -> None:
    with pytest.raises(InputError, match=hint.replace("(", r"\(")) as caught:
        simulate_site(tmp_path / "out", **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
