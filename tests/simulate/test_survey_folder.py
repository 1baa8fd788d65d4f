from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.features import rasterize
from scipy.ndimage import binary_dilation, binary_erosion

from spurgekit.errors import InputError, OutputExistsError
from spurgekit.imagery import open_raster
from spurgekit.simulate import SimulatedSurvey, SurveyOptions, simulate_survey
from spurgekit.survey import read_survey

GSD_M, SHARE = 0.0125, 0.12
TWO_PLOTS = {"rows": 1, "columns": 2, "size_m": 4}
OPTIONS = SurveyOptions(**TWO_PLOTS, rotation_deg=20, site_size_m=14, weed_share=SHARE, distractors=2, seed=4)
PLAIN = SurveyOptions(markers=False, site_size_m=4)
SIZE_PX = 1120


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> SimulatedSurvey:
    return simulate_survey(tmp_path_factory.mktemp("simulated") / "survey", OPTIONS)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


def test_it_is_a_survey_folder(site: SimulatedSurvey) -> None:
    survey = read_survey(site.folder)
    assert {name: path.resolve() for name, path in survey.images.items()} == {"site": site.image.resolve()}
    assert survey.labels is not None
    assert survey.path(survey.labels).samefile(site.weed)
    assert (survey.plots.rows, survey.plots.columns, survey.plots.size_m) == (1, 2, 4)
    assert (survey.plots.family, survey.plots.marker_size_m, survey.plots.marker_ids) == ("cross", 0.45, ())
    names = {"site.tif", "weed.tif", "weed.gpkg", "plots.gpkg", "markers.gpkg", "survey.toml", "provenance.json", "SHA256SUMS"}
    assert {path.name for path in site.folder.iterdir()} == names


def test_the_image_is_an_rgba_orthomosaic_that_the_reader_takes(site: SimulatedSurvey) -> None:
    with rasterio.open(site.image) as image:
        assert (image.count, image.dtypes[0], image.block_shapes[0]) == (4, "uint8", (512, 512))
        assert image.colorinterp[3] == ColorInterp.alpha
        assert image.profile["interleave"] == "pixel"
        assert image.compression.name == "deflate"
    with open_raster(site.image) as raster:
        assert raster.gsd_m == pytest.approx(GSD_M)
        assert raster.bands == (1, 2, 3)
        assert raster.notes == ()


def test_all_files_lie_on_the_same_ground(site: SimulatedSurvey) -> None:
    with rasterio.open(site.image) as image, rasterio.open(site.truth) as truth:
        assert image.shape == truth.shape == (SIZE_PX, SIZE_PX)
        assert image.transform == truth.transform == rasterio.Affine(GSD_M, 0, 495_000, 0, -GSD_M, 5_063_000)
        assert image.crs == truth.crs == rasterio.crs.CRS.from_epsg(32612)
        bounds = image.bounds
    for path, layer in ((site.weed, "weed"), (site.plots, "plots"), (site.markers, "markers")):
        table = gpd.read_file(path, layer=layer)
        assert table.crs.to_epsg() == 32612
        left, bottom, right, top = table.total_bounds
        assert bounds.left <= left < right <= bounds.right
        assert bounds.bottom <= bottom < top <= bounds.top


def test_the_truth_knows_nothing_outside_the_mosaic(site: SimulatedSurvey) -> None:
    *rgb, alpha = read(site.image)
    truth = read(site.truth)[0]
    assert set(np.unique(alpha)) == {0, 255}
    assert set(np.unique(truth)) == {0, 1, 255}
    assert np.array_equal(alpha == 0, truth == 255)
    assert not np.stack(rgb)[:, alpha == 0].any()
    assert 0.06 < np.mean(alpha == 0) < 0.18


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_the_weed_covers_about_the_share_asked_for(tmp_path: Path, share: float) -> None:
    options = SurveyOptions(markers=False, site_size_m=8, weed_share=share, seed=1)
    truth = read(simulate_survey(tmp_path / "out", options).truth)
    assert np.sum(truth == 1) / np.sum(truth != 255) == pytest.approx(share, rel=0.3)


def test_the_patches_are_drawn_where_the_truth_has_weed(site: SimulatedSurvey) -> None:
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


def test_the_weed_differs_in_texture_more_than_in_brightness(site: SimulatedSurvey) -> None:
    red, green, blue, alpha = read(site.image).astype(float)
    truth = read(site.truth)[0]
    grey, yellowness = (red + green + blue) / 3, green - blue
    weed, other = truth == 1, (truth == 0) & (alpha > 0)
    assert grey[weed].mean() == pytest.approx(grey[other].mean(), rel=0.15)
    assert yellowness[weed].std() > 1.5 * yellowness[other].std()


def test_six_markers_stand_at_the_corners_of_two_plots(site: SimulatedSurvey) -> None:
    markers, plots = gpd.read_file(site.markers), gpd.read_file(site.plots)
    assert markers["node"].tolist() == [0, 1, 2, 3, 4, 5]
    assert set(markers["family"]) == {"cross"}
    assert markers["id"].isna().all()
    assert plots["plot"].tolist() == ["1", "2"]
    assert plots["markers"].tolist() == [4, 4]
    corners = [list(polygon.exterior.coords)[:4] for polygon in plots.geometry]
    at = [(point.x, point.y) for point in markers.geometry]
    # Row by row from the north-west, so NW, NE, SE, SW of the first plot are the nodes 0, 1, 4, 3.
    assert corners == [[at[node] for node in nodes] for nodes in ((0, 1, 4, 3), (1, 2, 5, 4))]


def test_the_lattice_is_turned_as_asked_for_within_what_tape_and_terrain_do(site: SimulatedSurvey) -> None:
    markers = gpd.read_file(site.markers).geometry
    along = np.array([markers.x[2] - markers.x[0], markers.y[2] - markers.y[0]])
    assert np.hypot(*along) == pytest.approx(8, abs=0.3)
    assert np.degrees(np.arctan2(along[1], along[0])) == pytest.approx(20, abs=2)


def test_a_marker_is_the_lightest_and_darkest_thing_around(site: SimulatedSurvey) -> None:
    grey = read(site.image)[:3].mean(axis=0)
    for marker in gpd.read_file(site.markers).itertuples():
        col, row = int(marker.col), int(marker.row)
        panel = grey[row - 15 : row + 16, col - 15 : col + 16]
        assert grey[row - 1 : row + 2, col - 1 : col + 2].mean() > 150  # where the tapes cross
        assert np.mean(panel < 60) > 0.2
        assert marker.geometry.x == pytest.approx(495_000 + GSD_M * marker.col, abs=1e-4)
        assert marker.geometry.y == pytest.approx(5_063_000 - GSD_M * marker.row, abs=1e-4)


def test_no_weed_grows_under_a_marker(site: SimulatedSurvey) -> None:
    weed = read(site.truth)[0]
    for marker in gpd.read_file(site.markers).itertuples():
        assert weed[int(marker.row), int(marker.col)] == 0


def test_missing_and_covered_markers(tmp_path: Path) -> None:
    options = SurveyOptions(**TWO_PLOTS, family="aruco-4x4-50", gsd_m=0.025, missing=0.34, covered=0.5, seed=2)
    survey = simulate_survey(tmp_path / "out", options)
    markers, plots = gpd.read_file(survey.markers), gpd.read_file(survey.plots)
    assert (survey.laid, survey.half_hidden) == (len(markers), (markers["visible"] < 0.9).sum()) == (4, 2)
    assert markers["id"].tolist() == markers["node"].tolist()
    assert markers["visible"].between(0.3, 1).all()
    there = set(markers["node"])
    assert plots["markers"].tolist() == [len(there & {0, 1, 4, 3}), len(there & {1, 2, 5, 4})]


def test_where_the_tape_measure_is_perfect_plots_are_squares(tmp_path: Path) -> None:
    options = SurveyOptions(**TWO_PLOTS, gsd_m=0.05, marker_size_m=0.6, tape_sd_m=0, warp_m=0, missing=1, seed=3)
    plots = gpd.read_file(simulate_survey(tmp_path / "out", options).plots)
    assert plots["markers"].tolist() == [0, 0]
    assert plots.area.to_numpy() == pytest.approx(16)
    assert plots.length.to_numpy() == pytest.approx(16)


def test_a_site_without_markers_has_no_plots(tmp_path: Path) -> None:
    survey = simulate_survey(tmp_path / "out", PLAIN)
    assert gpd.read_file(survey.plots, layer="plots").empty
    assert gpd.read_file(survey.markers, layer="markers").empty
    assert survey.laid == 0


def test_the_same_options_give_the_same_bytes(tmp_path: Path) -> None:
    options = SurveyOptions(**TWO_PLOTS, gsd_m=0.04, covered=0.5, distractors=3, seed=7)
    first, second = (simulate_survey(tmp_path / run, options) for run in ("first", "second"))
    for path in first.folder.iterdir():
        assert path.read_bytes() == (second.folder / path.name).read_bytes(), path.name


def test_another_seed_or_name_gives_another_site(tmp_path: Path) -> None:
    truths = [
        read(
            simulate_survey(tmp_path / f"{name}{seed}", SurveyOptions(markers=False, site_size_m=4, name=name, seed=seed)).truth
        )
        for name, seed in (("a", 0), ("a", 1), ("b", 0))
    ]
    assert not np.array_equal(truths[0], truths[1])
    assert not np.array_equal(truths[0], truths[2])


def test_a_site_with_hardly_any_weed_has_an_empty_layer(tmp_path: Path) -> None:
    survey = simulate_survey(tmp_path / "out", SurveyOptions(markers=False, site_size_m=3.2, weed_share=0.0001))
    assert gpd.read_file(survey.weed, layer="weed").empty
    assert not (read(survey.truth) == 1).any()


def test_what_others_made_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="was not made by spurgekit"):
        simulate_survey(tmp_path, PLAIN, overwrite=True)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"markers": False, "site_size_m": 1.0}, "pass a size from 3.2 to 102.4 m"),
        ({"markers": False, "site_size_m": 1000.0}, "pass a size from 3.2 to 102.4 m"),
        ({"markers": False, "site_size_m": float("nan")}, "is not a number"),
        ({"site_size_m": 25.0}, "do not fit into the picture; pass a larger `site_size_m`"),
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
        ({"family": "square"}, "known are cross, dark-cross"),
        ({"family": "apriltag-16h5", "rows": 5, "columns": 5}, "pass a larger dictionary"),
        ({"marker_size_m": 5.0}, "pass less than 5 m"),
        ({"missing": 1.5}, "pass a number from 0 to 1"),
        ({"covered": -0.1}, "pass a number from 0 to 1"),
        ({"tape_sd_m": 2.0}, "pass 0 to a tenth of a plot, 1 m"),
        ({"warp_m": float("nan")}, "is not a number"),
        ({"distractors": -1}, "pass 0 or more"),
        ({"frame_px": 1000, "site_size_m": 40.0}, "`site_size_m` does not go with `frame_px`"),
        ({"frame_px": 100}, "pass 256 to 8192"),
        ({"frame_px": 1000, "tilt_deg": 45.0}, "pass 0 to 10"),
        ({"frame_px": 400, "gsd_m": 0.0125}, "or a larger `frame_px`"),
    ],
)
def test_options_that_cannot_serve_are_refused_before_anything_is_written(
    tmp_path: Path, arguments: dict[str, object], hint: str
) -> None:
    with pytest.raises(InputError, match=hint) as caught:
        simulate_survey(tmp_path / "out", SurveyOptions(**arguments))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


SMALL = {"markers": False, "site_size_m": 6, "weed_share": 0.2, "seed": 3}


class TestVisits:
    """The same site, seen again."""

    def drawn(self, folder: Path, **how) -> tuple[np.ndarray, np.ndarray]:
        survey = simulate_survey(folder, SurveyOptions(**SMALL, **how))
        return read(survey.image), read(survey.truth)[0]

    def test_weed_grows_and_dies_on_the_same_ground(self, tmp_path: Path) -> None:
        (first, weed), (second, later) = self.drawn(tmp_path / "a"), self.drawn(tmp_path / "b", visit=2)
        seen = (weed < 255) & (later < 255)
        assert (first[3] == second[3]).all()
        gained, lost = ((one[seen] < other[seen]).mean() for one, other in ((weed, later), (later, weed)))
        assert 0.01 < gained < 0.1
        assert 0.01 < lost < 0.1
        bare = seen & ~binary_dilation((weed == 1) | (later == 1), iterations=40)
        differ = np.abs(first[:3, bare].astype(int) - second[:3, bare]).mean()
        assert 1 < differ < 12  # another flight's noise and light on the same grass

    def test_the_first_visit_is_the_site_as_it_was(self, tmp_path: Path) -> None:
        (first, _), (same, _) = self.drawn(tmp_path / "a"), self.drawn(tmp_path / "b", visit=1, turnover=0.9)
        assert (first == same).all()

    def test_without_turnover_patches_stay(self, tmp_path: Path) -> None:
        (_, weed), (_, later) = self.drawn(tmp_path / "a"), self.drawn(tmp_path / "b", visit=3, turnover=0)
        assert (weed == later).all()

    def test_a_shift_moves_the_image_and_leaves_the_truth(self, tmp_path: Path) -> None:
        survey = simulate_survey(tmp_path / "a", SurveyOptions(**SMALL, shift_m=(0.3, -0.26)))
        with rasterio.open(survey.image) as image, rasterio.open(survey.truth) as truth:
            assert image.transform.c - truth.transform.c == pytest.approx(0.3)
            assert image.transform.f - truth.transform.f == pytest.approx(-0.26)

    @pytest.mark.parametrize(
        ("how", "said"),
        [
            ({"visit": 0}, "`visit=0` cannot be"),
            ({"turnover": 1.5}, "`turnover=1.5` is not a share"),
            ({"shift_m": (float("inf"), 0)}, "`shift_m=inf` is not a number|leads nowhere"),
            ({"shift_m": (1, 0), "frame_px": 1000, "site_size_m": None}, "`shift_m` is of orthomosaics"),
        ],
    )
    def test_what_cannot_be(self, how: dict, said: str) -> None:
        with pytest.raises(InputError, match=said):
            SurveyOptions(**{**SMALL, **how})
