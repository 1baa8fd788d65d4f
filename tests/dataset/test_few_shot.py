"""Support sets: nested, spread over clusters, the same whatever the order of the table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.dataset.few_shot import possible_shots, support_sets
from spurgekit.errors import InputError

IDS = [f"site_p{number:05d}" for number in range(40)]
LABELS = ["sand", "weed"] * 20
CLUSTERS = [f"c{number // 10}" for number in range(40)]


def draw(ids=IDS, labels=LABELS, clusters=CLUSTERS, **options):
    return support_sets(ids, labels, clusters=clusters, classes=("sand", "weed"), **options)


def sets_of(table):
    return {key: set(of["tile_id"]) for key, of in table.groupby(["trial", "class", "n"])}


def test_so_many_of_each_class_in_each_trial():
    table = draw(shots=(1, 4), trials=3)
    assert list(table.columns) == ["trial", "n", "class", "tile_id"]
    assert {key: len(tiles) for key, tiles in sets_of(table).items()} == {
        (trial, name, n): n for trial in range(3) for name in ("sand", "weed") for n in (1, 4)
    }
    label = dict(zip(IDS, LABELS, strict=True))
    assert (table["tile_id"].map(label) == table["class"]).all()


def test_nested_in_the_number_of_shots():
    sets = sets_of(draw(trials=5))
    for (trial, name, n), tiles in sets.items():
        if n > 1:
            assert sets[trial, name, n // 2] < tiles


def test_spread_over_clusters():
    cluster = dict(zip(IDS, CLUSTERS, strict=True))
    for (_, _, n), tiles in sets_of(draw(shots=(1, 2, 4, 8), trials=5)).items():
        counts = [sum(cluster[tile] == name for tile in tiles) for name in sorted(set(CLUSTERS))]
        assert max(counts) - min(counts) <= 1, n


def test_trials_differ():
    sets = sets_of(draw(shots=(4,), trials=10))
    assert len({frozenset(tiles) for (_, name, _), tiles in sets.items() if name == "weed"}) == 10


@given(st.permutations(range(40)))
def test_the_order_of_the_table_changes_nothing(order):
    shuffled = draw(*([column[i] for i in order] for column in (IDS, LABELS, CLUSTERS)), trials=2)
    assert shuffled.equals(draw(trials=2))


def test_another_tile_changes_little():
    # The new tile is in some sets in the place of another; the other sets stay as they were.
    before = sets_of(draw(shots=(2,)))
    after = sets_of(draw([*IDS, "site_p99999"], [*LABELS, "weed"], [*CLUSTERS, "c0"], shots=(2,)))
    changed = [key for key in before if before[key] != after[key]]
    assert all("site_p99999" in after[key] for key in changed)
    assert len(changed) < len(before) / 2


def test_no_sets_of_more_shots_than_there_are():
    labels = ["weed"] * 3 + ["sand"] * 37
    assert possible_shots(labels, ("sand", "weed"), (1, 2, 4, 8)) == (1, 2)
    assert set(draw(labels=labels)["n"]) == {1, 2}
    assert draw(labels=["sand"] * 40).empty


def test_all_in_one_place_where_there_are_no_clusters():
    assert len(draw(clusters=None, shots=(8,), trials=1)) == 16


@pytest.mark.parametrize("options", [{"trials": 0}, {"shots": ()}, {"shots": (0, 1)}])
def test_what_cannot_be(options):
    with pytest.raises(InputError, match="cannot be; pass positive numbers"):
        draw(**options)


def test_ids_alone_decide():
    # Written down once: a change of this would change every published support set.
    assert draw(shots=(1,), trials=2)["tile_id"].tolist() == ["site_p00012", "site_p00019", "site_p00000", "site_p00007"]
