from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from spurgekit.errors import ImageryError, InputError
from spurgekit.imagery import PixelGrid
from spurgekit.markers import Marker
from spurgekit.plots import PlotProtocol
from spurgekit.plots.locate import locate_plots

UTM = CRS.from_epsg(32612)
SITE = PlotProtocol()
NORTH_UP = Affine(0.01, 0, 500_000, 0, -0.01, 5_000_000)  # 1 cm
SOUTH_WEST = np.array([500_010.0, 4_999_955.0])
"""Where the lattice's frame has its origin: the first node stands 15 m south of the upper left corner, and 10 m east."""


def grid(transform=NORTH_UP, crs=UTM):
    return PixelGrid(5000, 6000, transform, crs)


def at(place):
    """World coordinates of a place, or of several, in the lattice's frame."""
    return SOUTH_WEST + np.array(place)


def markers_at(image, world, ids=None):
    cols, rows = image.to_pixel(*np.transpose(world))
    said = [None] * len(cols) if ids is None else ids
    return [Marker(float(c), float(r), 0.5, "cross", 0.9, i) for c, r, i in zip(cols, rows, said, strict=True)]


class TestPlots:
    def test_nine_plots_in_reading_order(self):
        found = locate_plots(grid(), markers_at(grid(), SITE.nodes_m + SOUTH_WEST), SITE)
        assert [plot.id for plot in found.plots] == list("123456789")
        first = np.array(found.plots[0].corners)
        assert first == pytest.approx(at([[0, 30], [10, 30], [10, 20], [0, 20]]), abs=1e-6)
        assert found.plots[0].found == (True,) * 4
        assert found.plots[0].residual_cm == pytest.approx(0, abs=1e-4)
        assert found.left_over == ()

    def test_a_missing_corner_is_filled_in_and_says_so(self):
        # The second node is the NE corner of plot 1 and the NW corner of plot 2.
        found = locate_plots(grid(), markers_at(grid(), np.delete(SITE.nodes_m, 1, axis=0) + SOUTH_WEST), SITE)
        one, two, three = found.plots[:3]
        assert (one.found, two.found) == ((True, False, True, True), (False, True, True, True))
        assert all(three.found)
        assert one.corners[1] == two.corners[0] == pytest.approx(tuple(at([10, 30])), abs=1e-6)

    def test_a_found_corner_is_the_marker_itself(self):
        moved = SITE.nodes_m + SOUTH_WEST
        moved[0] += [0.06, -0.03]
        found = locate_plots(grid(), markers_at(grid(), moved), SITE)
        assert found.plots[0].corners[0] == pytest.approx(tuple(moved[0]), abs=1e-6)
        assert 1 < found.plots[0].residual_cm < 6.8 / 2  # one of four corners is 6.7 cm off, and the lattice gives way
        assert found.plots[8].residual_cm < found.plots[0].residual_cm

    def test_markers_that_stand_at_no_corner_are_left_over(self):
        bucket = at([[14, 26]])
        found = locate_plots(grid(), markers_at(grid(), np.vstack([bucket, SITE.nodes_m + SOUTH_WEST])), SITE)
        assert len(found.at_corners) == 16
        assert found.left_over == tuple(markers_at(grid(), bucket))

    def test_two_sites_have_letters(self):
        both = np.vstack([SITE.nodes_m + at([60, 1]), SITE.nodes_m + SOUTH_WEST])
        found = locate_plots(grid(), markers_at(grid(), both), SITE)
        assert [plot.id for plot in found.plots] == [f"{letter}{n}" for letter in "AB" for n in range(1, 10)]
        assert found.plots[0].corners[0] == pytest.approx(tuple(at([0, 30])), abs=1e-6)
        assert len(found.rms_cm) == len(found.log10_false_alarms) == 2

    def test_feet(self):
        state_plane = CRS.from_epsg(2256)  # Montana, international feet
        image = PixelGrid(5000, 6000, Affine(0.05, 0, 2_000_000, 0, -0.05, 500_000), state_plane)
        corner = np.array([2_000_030.0, 499_800.0])
        found = locate_plots(image, markers_at(image, SITE.nodes_m / 0.3048 + corner), SITE)
        assert found.plots[0].corners[0] == pytest.approx((2_000_030.0, 499_800 + 30 / 0.3048), abs=1e-4)

    def test_ids_of_markers_are_looked_at(self):
        coded = replace(SITE, marker_ids=tuple(range(16)))
        upside_down = SOUTH_WEST + 30 - SITE.nodes_m
        found = locate_plots(grid(), markers_at(grid(), upside_down, ids=range(16)), coded)
        assert found.plots[0].corners[0] == pytest.approx(tuple(at([30, 0])), abs=1e-6)


@settings(max_examples=20)
@given(st.floats(-180, 180), st.booleans())
def test_plots_lie_the_same_however_the_image_lies(degrees, upside_down):
    flip = -1 if not upside_down else 1  # an image whose rows run north shows the ground as in a mirror: plots must not be
    image = grid(Affine.translation(500_000, 5_000_000) @ Affine.rotation(degrees) @ Affine.scale(0.01, flip * 0.01))
    found = locate_plots(image, markers_at(image, SITE.nodes_m + SOUTH_WEST), SITE)
    assert np.array(found.plots[0].corners) == pytest.approx(at([[0, 30], [10, 30], [10, 20], [0, 20]]), abs=1e-5)
    assert not any(plot.polygon.exterior.is_ccw for plot in found.plots)


class TestRefused:
    def refused(self, world, match, protocol=SITE, **options):
        with pytest.raises(InputError, match=match) as error:
            locate_plots(grid(), markers_at(grid(), np.reshape(world, (-1, 2))), protocol, **options)
        assert "\n" not in str(error.value)

    def test_no_markers(self):
        with pytest.raises(InputError, match=r"no markers were found, where 3 x 3 plots of 10 m have 16; check the family"):
            locate_plots(grid(), [], SITE)

    def test_too_few_markers(self):
        self.refused(SITE.nodes_m[:1], "1 marker was found, where 3 x 3 plots of 10 m have 16 and at least 6 are needed")
        self.refused(SITE.nodes_m[:3], "3 markers were found.* at least 4", PlotProtocol(rows=1, columns=1))

    def test_plots_of_another_size(self):
        self.refused(
            SITE.nodes_m * 0.8 + SOUTH_WEST,
            r"16 markers were found, but they do not fit 3 x 3 plots of 10 m: 16 of them stand as plots of 8\.0 m would, "
            "the protocol says 10 m",
        )

    def test_markers_without_any_pattern(self):
        scattered = np.random.default_rng(1).uniform(0, 60, (9, 2)) + SOUTH_WEST
        self.refused(scattered, "9 markers were found, but they do not fit 3 x 3 plots of 10 m")

    def test_an_outer_row_is_missing(self):
        self.refused(SITE.nodes_m[4:] + SOUTH_WEST, "12 of 12 markers fit, but 2 placements of the 3 x 3 lattice")

    def test_an_image_without_metres(self):
        image = grid(crs=None)
        with pytest.raises(ImageryError, match="has no CRS"):
            locate_plots(image, markers_at(image, SITE.nodes_m + SOUTH_WEST), SITE)
