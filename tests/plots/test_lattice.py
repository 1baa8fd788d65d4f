"""Lattices among detections: worked by hand, as properties, and over many drawn sites."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spurgekit.plots.lattice import AmbiguousLatticeError, fit_lattices
from spurgekit.plots.protocol import PlotProtocol
from tests.plots.fields import draw_clutter, draw_field, matches, turn

SITE = PlotProtocol()  # 3 x 3 plots of 10 m: 16 nodes, the first at (0, 30)
NODES = SITE.nodes_m


def only(fits):
    assert len(fits) == 1
    return fits[0]


class TestByHand:
    def test_a_lattice_that_lies_as_the_protocol_has_it(self):
        fit = only(fit_lattices(NODES, SITE))
        assert fit.detections.tolist() == list(range(16))
        assert fit.nodes_m == pytest.approx(NODES)
        assert fit.transform == pytest.approx(np.eye(3), abs=1e-9)
        assert fit.rms_m == pytest.approx(0, abs=1e-9)

    def test_turned_by_30_degrees_far_from_the_origin(self):
        there = NODES @ turn(30).T + [500_000, 5_000_000]
        fit = only(fit_lattices(there, SITE))
        assert fit.detections.tolist() == list(range(16))  # the first row is still the northern one
        assert fit.nodes_m == pytest.approx(there, abs=1e-6)

    def test_rows_run_nearest_to_east(self):
        # About its middle a square lattice that is turned by 60 degrees lies as if turned by -30.
        there = (NODES - 15) @ turn(60).T
        fit = only(fit_lattices(there, SITE))
        assert fit.nodes_m == pytest.approx((NODES - 15) @ turn(-30).T, abs=1e-6)

    def test_three_missing_markers_are_filled_in(self):
        lost = [0, 6, 11]
        fit = only(fit_lattices(np.delete(NODES, lost, axis=0), SITE))
        assert np.flatnonzero(~fit.found).tolist() == lost
        assert fit.nodes_m == pytest.approx(NODES, abs=1e-6)
        assert np.isnan(fit.residuals_m[lost]).all()

    def test_a_residual_is_that_of_the_rigid_lattice(self):
        # One plot, 10.2 m wide and 10 m high: the best similarity makes it 10.1 m both ways and is 5 cm off on each axis.
        one = PlotProtocol(rows=1, columns=1)
        fit = only(fit_lattices(one.nodes_m * [1.02, 1], one))
        assert fit.residuals_m == pytest.approx(np.full(4, np.hypot(0.05, 0.05)))
        assert fit.rms_m == pytest.approx(np.hypot(0.05, 0.05))

    def test_one_plot_of_four_markers(self):
        one = PlotProtocol(rows=1, columns=1)
        fit = only(fit_lattices(one.nodes_m + np.array([[0.03, 0], [0, -0.04], [-0.02, 0], [0, 0.01]]), one))
        assert fit.found.all()

    def test_three_corners_are_no_plot(self):
        one = PlotProtocol(rows=1, columns=1)
        assert fit_lattices(one.nodes_m[:3], one) == ()

    def test_a_transect_begins_in_the_west(self):
        transect = PlotProtocol(rows=1, columns=5)
        fit = only(fit_lattices(transect.nodes_m @ turn(180).T, transect))
        west, east = fit.nodes_m[0], fit.nodes_m[5]
        assert east - west == pytest.approx([50, 0], abs=1e-6)

    @pytest.mark.parametrize("degrees", [-93, -87, 87, 93])
    def test_a_transect_from_north_to_south_begins_in_the_north(self, degrees):
        transect = PlotProtocol(rows=1, columns=5)
        fit = only(fit_lattices(transect.nodes_m @ turn(degrees).T, transect))
        assert fit.nodes_m[0, 1] - fit.nodes_m[5, 1] == pytest.approx(50, abs=0.1)

    def test_plots_with_gaps_have_corners_of_their_own(self):
        apart = PlotProtocol(rows=2, columns=2, size_m=5, gaps_m=(2, 1))
        there = apart.nodes_m @ turn(10).T
        fit = only(fit_lattices(np.delete(there, [3, 8], axis=0), apart))
        assert len(fit.nodes_m) == 16
        assert fit.nodes_m == pytest.approx(there, abs=1e-6)

    def test_a_scale_that_is_off_by_3_per_cent_is_an_error_of_the_gsd(self):
        fit = only(fit_lattices(NODES * 1.03, SITE))
        assert np.sqrt(np.linalg.det(fit.transform[:2, :2])) == pytest.approx(1.03)

    def test_a_scale_that_is_off_by_20_per_cent_is_another_lattice(self):
        assert fit_lattices(NODES * 0.8, SITE) == ()

    def test_of_two_detections_at_a_node_the_better_scored_one_is_taken(self):
        twice = np.vstack([NODES, NODES[5] + [0.05, 0], NODES[5] + [-0.05, 0]])
        scores = [0.9] * 5 + [0.1] + [0.9] * 10 + [0.9, 0.2]
        fit = only(fit_lattices(twice, SITE, scores=scores))
        assert fit.detections[5] == 16

    def test_a_false_detection_near_a_missing_marker_is_told_by_its_neighbours(self):
        field = np.vstack([np.delete(NODES, 5, axis=0), NODES[5] + [0.25, 0.1]])
        fit = only(fit_lattices(field, SITE))
        assert not fit.found[5]
        assert fit.nodes_m[5] == pytest.approx(NODES[5], abs=0.02)

    def test_a_bent_mosaic_fills_in_along_its_bending(self):
        x, y = NODES.T
        bent = NODES + np.column_stack([0.2 * np.sin(y / 15), 0.2 * np.sin(x / 15 + 1)])
        fit = only(fit_lattices(np.delete(bent, 6, axis=0), SITE))
        assert fit.found.sum() == 15
        rigid = (fit.transform @ [*NODES[6], 1])[:2]
        assert np.hypot(*(fit.nodes_m[6] - bent[6])) < 0.5 * np.hypot(*(rigid - bent[6]))

    def test_a_frame_that_was_not_taken_straight_down(self):
        tilted = (NODES - 15) / (1 + (NODES - 15) @ [[0.0015], [0.001]])  # 1.5 m at the far corner
        fit = only(fit_lattices(np.delete(tilted, [2, 9], axis=0), SITE, model="projective"))
        assert fit.found.sum() == 14
        assert fit.nodes_m == pytest.approx(tilted, abs=0.05)


class TestIds:
    CODED = PlotProtocol(marker_ids=tuple(range(100, 116)))

    def test_ids_say_how_a_lattice_is_turned(self):
        fit = only(fit_lattices(NODES @ turn(180).T, self.CODED, ids=range(100, 116)))
        assert fit.detections.tolist() == list(range(16))
        assert fit.nodes_m[0] == pytest.approx([0, -30])  # the first marker now stands in the south-east

    def test_ids_fix_what_would_be_ambiguous(self):
        fit = only(fit_lattices(NODES[4:], self.CODED, ids=range(104, 116)))  # the northern row is missing
        assert fit.detections.tolist() == [-1] * 4 + list(range(12))
        assert fit.nodes_m == pytest.approx(NODES, abs=1e-6)

    def test_four_that_say_which_they_are_fix_the_others(self):
        seen = [0, 5, 6, 15]
        assert fit_lattices(NODES[seen], SITE) == ()
        fit = only(fit_lattices(NODES[seen], self.CODED, ids=[100 + node for node in seen]))
        assert fit.nodes_m == pytest.approx(NODES, abs=1e-6)

    def test_a_marker_that_says_something_else_is_not_taken(self):
        ids = [100, 101, 102, 999, *range(104, 116)]
        fit = only(fit_lattices(NODES, self.CODED, ids=ids))
        assert np.flatnonzero(~fit.found).tolist() == [3]

    def test_a_marker_that_could_not_be_read_stands_where_it_stands(self):
        fit = only(fit_lattices(NODES, self.CODED, ids=[None, *range(101, 116)]))
        assert fit.found.all()


class TestSeveral:
    def test_sites_are_told_apart_and_read_like_a_page(self):
        south, northwest, northeast = [50, -60], [0, 2], [80, 0]
        field = np.vstack([NODES @ turn(20).T + south, NODES + northeast, np.delete(NODES, 5, axis=0) + northwest])
        fits = fit_lattices(field, SITE)
        assert [fit.found.sum() for fit in fits] == [15, 16, 16]
        assert fits[1].nodes_m[0] == pytest.approx([80, 30])

    def test_lattices_that_overlap_are_refused(self):
        with pytest.raises(AmbiguousLatticeError, match=r"32 markers hold two lattices of 3 x 3 plots that overlap"):
            fit_lattices(np.vstack([NODES, NODES + np.array([4.3, 3.1])]), SITE)


class TestAmbiguous:
    def test_an_outer_row_without_a_marker(self):
        with pytest.raises(AmbiguousLatticeError, match=r"12 of 12 markers fit, but 2 placements of the 3 x 3 lattice"):
            fit_lattices(NODES[4:], SITE)

    def test_one_marker_of_the_outer_row_tells(self):
        fit = only(fit_lattices(NODES[3:], SITE))
        assert fit.nodes_m == pytest.approx(NODES, abs=1e-6)

    def test_more_plots_than_the_protocol_has(self):
        with pytest.raises(AmbiguousLatticeError, match="4 placements of the 3 x 3 lattice"):
            fit_lattices(PlotProtocol(rows=4, columns=4).nodes_m, SITE)

    def test_plots_that_share_corners_are_not_plots_that_stand_alone(self):
        with pytest.raises(AmbiguousLatticeError):
            fit_lattices(NODES, PlotProtocol(rows=1, columns=1))


def test_no_detections_hold_no_lattice():
    assert fit_lattices(np.zeros((0, 2)), SITE) == ()


@settings(max_examples=25)
@given(
    degrees=st.floats(-180, 180),
    shift=st.tuples(st.floats(-1e5, 1e5), st.floats(-1e6, 1e6)),
    scale=st.floats(0.97, 1.03),
    lost=st.sets(st.sampled_from([1, 2, 5, 6, 9, 10, 14]), max_size=5),
    seed=st.integers(0, 99),
)
def test_any_place_any_turn_any_order(degrees, shift, scale, lost, seed):
    there = NODES @ turn(degrees).T * scale + shift
    detections = np.random.default_rng(seed).permutation(np.delete(there, sorted(lost), axis=0))
    fit = only(fit_lattices(detections, SITE))
    assert fit.found.sum() == 16 - len(lost)
    assert matches(there, fit.nodes_m, within_m=1e-5)
    a, b = fit.transform[0, :2]
    assert np.hypot(a, b) == pytest.approx(scale)
    assert abs(np.degrees(np.arctan2(-b, a))) <= 45 + 1e-6  # rows run nearest to east


@settings(max_examples=15)
@given(seed=st.integers(0, 999), far=st.integers(1, 15))
def test_the_order_and_far_away_detections_change_nothing(seed, far):
    rng = np.random.default_rng(seed)
    field = draw_field(rng, missing=0.1, false=8).positions_m
    away = rng.uniform(200, 260, (far, 2))
    order = rng.permutation(len(field) + far)
    before = only(fit_lattices(field, SITE))
    after = only(fit_lattices(np.vstack([field, away])[order], SITE))
    assert after.nodes_m == pytest.approx(before.nodes_m, abs=1e-6)
    assert [order[i] if i >= 0 else -1 for i in after.detections] == before.detections.tolist()


def test_drawn_sites_are_found_and_nothing_else():
    rng = np.random.default_rng(11)
    found = settled = 0
    for _ in range(100):
        field = draw_field(rng, missing=rng.uniform(0, 0.2), false=int(rng.integers(21)), bend_m=rng.uniform(0, 0.2))
        try:
            fits = fit_lattices(field.positions_m, SITE)
        except AmbiguousLatticeError:
            continue
        settled += len(fits)
        found += len(fits) == 1 and matches(field.corners_m, fits[0].nodes_m)
    assert found == settled
    assert found >= 98


def test_clutter_holds_no_lattice():
    rng = np.random.default_rng(12)
    for _ in range(100):
        assert fit_lattices(draw_clutter(rng, int(rng.integers(5, 61))), SITE) == ()


class TestAskew:
    """A marker that stands 20 cm from where 15 others, which stand exactly, have its corner."""

    OFF = np.array([0.14, 0.14])

    def found(self, off=OFF, **options):
        positions = SITE.nodes_m + off * (np.arange(16) == 0)[:, None]
        (fit,) = fit_lattices(positions, SITE, **options)
        return int(fit.found.sum())

    def test_is_taken_where_it_covers_its_corner(self):
        assert self.found(sizes_m=[0.45] * 16) == 16
        assert self.found(sizes_m=[0.45] * 16, scores=[0.9] * 16) == 16

    def test_else_its_neighbours_speak_against_it(self):
        assert self.found() == 15
        assert self.found(sizes_m=[0.3] * 16) == 15
        assert self.found(1.25 * self.OFF, sizes_m=[0.45] * 16) == 15

    def test_and_where_it_is_hardly_a_marker(self):
        assert self.found(sizes_m=[0.45] * 16, scores=[0.3] + [0.9] * 15) == 15
