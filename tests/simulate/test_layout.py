from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.plots import PlotProtocol
from spurgekit.simulate.layout import choose, draw_warp, lattice_nodes, scatter_distractors


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_nodes_lie_around_the_lattices_centre() -> None:
    nodes = lattice_nodes(PlotProtocol(rows=1, columns=2, size_m=10), 0)
    assert nodes.tolist() == [[-10, 5], [0, 5], [10, 5], [-10, -5], [0, -5], [10, -5]]


def test_a_lattice_turns_counter_clockwise() -> None:
    nodes = lattice_nodes(PlotProtocol(rows=1, columns=1, size_m=10), 90)
    # NW, NE, SW, SE: what was in the north-west is now in the south-west.
    assert nodes == pytest.approx(np.array([[-5, -5], [-5, 5], [5, -5], [5, 5]]))


@given(angle=st.floats(-180, 180))
def test_turning_keeps_the_distances(angle: float) -> None:
    nodes = lattice_nodes(PlotProtocol(), angle)
    assert np.linalg.norm(nodes[1:] - nodes[:-1], axis=1)[:3] == pytest.approx(10)
    assert nodes.mean(axis=0) == pytest.approx(0, abs=1e-9)


def test_a_warp_is_as_strong_as_asked_for_and_smooth() -> None:
    points = rng().uniform(0, 2000, (20_000, 2))
    warp = draw_warp(0.2, rng(1))
    assert warp(points).std(axis=0) == pytest.approx(0.2, rel=0.15)
    # Over 1 m it changes by no more than 4 waves of 25 m at their steepest: 4 x 0.2 x sqrt(1/2) x 2 pi / 25.
    assert np.abs(warp(points + np.array([1, 0])) - warp(points)).max() < 4 * 0.2 * np.sqrt(0.5) * 2 * np.pi / 25


@pytest.mark.parametrize(("count", "share", "chosen"), [(16, 0, 0), (16, 0.1, 2), (16, 1, 16), (0, 0.5, 0)])
def test_a_share_is_rounded_to_the_nearest_count(count: int, share: float, chosen: int) -> None:
    assert choose(count, share, rng()).sum() == chosen


def test_distractors_keep_off_the_lattice_and_on_the_mosaic() -> None:
    valid = np.zeros((1000, 1000), bool)
    valid[:, 500:] = True
    nodes = np.array([[600.0, 500.0], [900.0, 500.0]])
    places = scatter_distractors(10, nodes, valid, 0.0125, rng())
    assert len(places) == 10
    assert (places[:, 0] >= 500).all()
    assert np.linalg.norm(nodes[:, None] - places[None], axis=-1).min() > 1.5 / 0.0125


def test_where_there_is_no_room_there_are_fewer() -> None:
    assert len(scatter_distractors(10, np.array([[50.0, 50.0]]), np.ones((100, 100), bool), 0.0125, rng())) == 0
