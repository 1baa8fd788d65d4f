import math

import pytest

from spurgekit.errors import InputError
from spurgekit.plots.plot import Plot
from spurgekit.plots.protocol import PlotProtocol, plot_names


class TestNodes:
    def test_neighbours_share_a_marker(self):
        nodes = PlotProtocol().nodes_m
        assert nodes.shape == (16, 2)
        assert nodes[[0, 3, 4, 15]].tolist() == [[0, 30], [30, 30], [0, 20], [30, 0]]

    def test_plots_with_a_gap_have_corners_of_their_own(self):
        nodes = PlotProtocol(rows=1, columns=2, size_m=5, gaps_m=(2, 0)).nodes_m
        assert nodes.tolist() == [[0, 5], [5, 5], [7, 5], [12, 5], [0, 0], [5, 0], [7, 0], [12, 0]]

    def test_a_gap_between_columns_only(self):
        assert len(PlotProtocol(rows=3, columns=3, gaps_m=(1, 0)).nodes_m) == 6 * 4

    def test_a_side_that_is_no_binary_fraction_still_shares_corners(self):
        assert len(PlotProtocol(rows=10, columns=10, size_m=0.1).nodes_m) == 121


class TestPlotNodes:
    def test_corners_run_clockwise_from_the_north_west(self):
        protocol = PlotProtocol()
        quads = protocol.plot_nodes
        assert quads[0].tolist() == [0, 1, 5, 4]
        assert quads[8].tolist() == [10, 11, 15, 14]
        assert protocol.nodes_m[quads[4]].tolist() == [[10, 20], [20, 20], [20, 10], [10, 10]]

    @pytest.mark.parametrize("gaps", [(0, 0), (2, 0), (0, 1.5), (1, 2)])
    def test_every_plot_is_a_square_of_its_size(self, gaps):
        protocol = PlotProtocol(rows=2, columns=3, size_m=4, gaps_m=gaps)
        corners = protocol.nodes_m[protocol.plot_nodes]
        assert len(corners) == 6
        for quad in corners:
            plot = Plot("1", tuple(map(tuple, quad)), (True,) * 4)
            assert plot.polygon.area == pytest.approx(16)
            assert not plot.polygon.exterior.is_ccw


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        "entry",
        [
            {"rows": 0},
            {"columns": -1},
            {"rows": 100_000_000},
            {"size_m": 0},
            {"size_m": math.inf},
            {"gaps_m": (-1, 0)},
            {"gaps_m": (0, math.inf)},
        ],
    )
    def test_is_refused(self, entry):
        with pytest.raises(InputError):
            PlotProtocol(**entry)

    def test_what_it_does_not_know_is_refused(self):
        with pytest.raises(TypeError, match="plots"):
            PlotProtocol(plots=9)

    def test_ids_for_other_than_all_nodes(self):
        with pytest.raises(InputError, match="needs 4 numbers"):
            PlotProtocol(rows=1, columns=1, marker_ids=(1, 2, 3))


class TestNames:
    def test_of_the_only_lattice(self):
        assert plot_names(3) == ["1", "2", "3"]

    def test_of_several(self):
        assert plot_names(2, 0) == ["A1", "A2"]
        assert plot_names(1, 27) == ["BB1"]
