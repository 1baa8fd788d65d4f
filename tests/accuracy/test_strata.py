import numpy as np
import pytest
import rasterio

from spurgekit.accuracy.strata import LEAST_ERROR, NO_STRATUM, read_strata
from spurgekit.maps.bands import TILE_PROBABILITY
from spurgekit.maps.map_folder import POLYGONS, SUMMARY


@pytest.fixture
def three(tmp_path, make_tif):
    """A map of three classes: rows of one class each, the last cell of each uncertain, one cell without data."""
    probabilities = np.full((3, 3, 4), 0.01)
    for k in range(3):
        probabilities[k, k, :] = 0.98
        probabilities[:, k, -1] = 0.3
        probabilities[k, k, -1] = 0.4
    uncertainty = np.zeros((1, 3, 4))
    uncertainty[0, :, -1] = 0.99
    bands = np.concatenate([probabilities, uncertainty]).astype(np.float32)
    bands[:, 1, 0] = np.nan
    path = make_tif(tmp_path / "presence.tif", bands, nodata=np.nan)
    with rasterio.open(path, "r+") as file:
        file.descriptions = [*(f"probability of {name}" for name in "abc"), "uncertainty (entropy, 0 to 1)"]
    for name in (POLYGONS, SUMMARY):
        (tmp_path / name).touch()
    return tmp_path


def test_classes_by_certainty(three):
    strata = read_strata(three, 0.5, 1)
    assert strata.classes == ("a", "b", "c")
    assert strata.numbers.tolist() == [[0, 0, 0, 1], [NO_STRATUM, 2, 2, 3], [4, 4, 4, 5]]
    assert strata.cells.tolist() == [3, 1, 2, 1, 3, 1]
    assert strata.probabilities[3] == pytest.approx([0.3, 0.4, 0.3])


def test_what_a_map_expects_of_its_strata(three):
    strata = read_strata(three, 0.5, 1)
    least = np.sqrt(LEAST_ERROR * (1 - LEAST_ERROR))  # of .98 and .01, which are surer than a map is elsewhere
    assert strata.spread(None) == pytest.approx([least, np.sqrt(0.24)] * 3)
    assert strata.spread(1) == pytest.approx([least, np.sqrt(0.21), least, np.sqrt(0.24), least, np.sqrt(0.21)])


def test_classes_alone(three):
    assert read_strata(three, 1, 1).cells.tolist() == [4, 0, 3, 0, 4, 0]
    joined = read_strata(three, 0.5, 2)
    assert joined.cells.tolist() == [4, 0, 3, 0, 4, 0]
    assert joined.probabilities[0] == pytest.approx([(3 * 0.98 + 0.4) / 4, (3 * 0.01 + 0.3) / 4, (3 * 0.01 + 0.3) / 4])


def test_of_a_map_finer_than_tiles_cells_count_and_not_the_tiles_around_them(three, make_tif):
    with rasterio.open(three / "presence.tif") as file:
        bands, titles = file.read(), file.descriptions
    fine = make_tif(three / "presence.tif", np.concatenate([bands, bands[2::-1]]), nodata=np.nan)
    with rasterio.open(fine, "r+") as file:
        file.descriptions = [*titles, *TILE_PROBABILITY.titles("abc")]
    strata = read_strata(three, 0.5, 1)
    assert strata.classes == ("a", "b", "c")
    assert strata.cells.tolist() == [3, 1, 2, 1, 3, 1]
