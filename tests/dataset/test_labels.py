"""Labels of a row of three tiles of 10 m, from columns, points and polygons."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, MultiPolygon, Point, Polygon, box, union_all

from spurgekit.dataset.labels import labels_from_column, order_classes
from spurgekit.dataset.shape_labels import labels_from_vector
from spurgekit.errors import InputError

WHERE = Path("labels.gpkg")
TILES = gpd.GeoDataFrame(geometry=[box(x, 0, x + 10, 10) for x in (0, 10, 20)], crs="EPSG:32612")


def labels(shapes, names=None, *, column=None, classes=("sand", "weed"), min_cover=0.05, called="label", **more):
    columns = {} if names is None else {called: names}
    shapes = gpd.GeoDataFrame({**columns, **more}, geometry=shapes, crs="EPSG:32612")
    return labels_from_vector(TILES, shapes, column=column, classes=classes, min_cover=min_cover, where=WHERE)


def label(*arguments, **options):
    return [None if pd.isna(name) else name for name in labels(*arguments, **options).names]


def of_column(index, column=None):
    return labels_from_column(index, column, None, min_cover=0.05, where=WHERE)


class TestColumn:
    def test_as_it_is(self):
        index = TILES.assign(label=["weed", "sand", None])
        assert of_column(index, None).names.tolist()[:2] == ["weed", "sand"]
        assert of_column(index, None).names.isna().tolist() == [False, False, True]

    def test_under_another_name(self):
        assert of_column(TILES.assign(kind=list("aba")), "kind").names.tolist() == list("aba")

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([0, 1, 0], ["0", "1", "0"]),
            ([0, 1, np.nan], ["0", "1", None]),  # the missing one has made floats of them
            ([0.5, 1.5, 0.5], ["0.5", "1.5", "0.5"]),
            ([" weed", "weed ", "  "], ["weed", "weed", None]),
            ([True, False, True], ["True", "False", "True"]),
            (np.array([0.0, 1.0, None], object), ["0", "1", None]),
            (np.array(["a", 1.0, 2.5], object), ["a", "1.0", "2.5"]),
            (["1.0", "0.00", "1"], ["1", "0", "1"]),  # as tables say it whose rows some lack
            (["1.0", "1.1", "1.10"], ["1.0", "1.1", "1.10"]),
            (["01", "001", "1"], ["01", "001", "1"]),
        ],
    )
    def test_as_text(self, values, expected):
        found = of_column(TILES.assign(label=values), None).names
        assert [None if pd.isna(name) else name for name in found] == expected

    def test_missing(self):
        with pytest.raises(
            InputError, match=r"labels\.gpkg has no column 'label' to take labels from \(a, b\); pass `label_column`"
        ):
            of_column(TILES.assign(a=1, b=2), None)


class TestPoints:
    def test_the_class_of_the_points_in_a_tile(self):
        assert label([Point(5, 5), Point(15, 5), Point(16, 5)], ["sand", "weed", "weed"]) == ["sand", "weed", None]

    def test_points_that_disagree_give_no_label(self):
        assert label([Point(5, 5), Point(6, 5), Point(15, 5)], ["sand", "weed", "weed"]) == [None, "weed", None]

    def test_points_without_a_class_say_nothing(self):
        assert label([Point(5, 5), Point(6, 5), Point(15, 5)], ["sand", None, ""]) == ["sand", None, None]

    def test_points_beside_all_tiles(self):
        assert label([Point(500, 5)], ["weed"]) == [None, None, None]

    def test_another_column(self):
        assert label([Point(25, 5)], ["weed"], called="kind", column="kind") == [None, None, "weed"]

    def test_without_the_column(self):
        with pytest.raises(InputError, match=r"labels\.gpkg has no column 'label' \(none at all\); pass `label_column`"):
            label([Point(5, 5)])


class TestPolygons:
    def test_ground_without_one_is_of_the_first_class(self):
        assert label([box(1, 1, 9, 9)]) == ["weed", "sand", "sand"]

    @pytest.mark.parametrize(
        ("min_cover", "expected"),
        # Over 10 of the first tile's 100 m2, 50 of the second's, none of the third's.
        [(0, "weed"), (0.05, "weed"), (0.1, "weed"), (0.101, None)],
    )
    def test_enough_of_it(self, min_cover, expected):
        assert label([box(9, 0, 15, 10)], min_cover=min_cover) == [expected, "weed", "sand"]

    def test_two_polygons_cover_together_and_not_twice(self):
        # 4 m2 each, 2 of them shared: 6 % of the tile.
        pair = [box(0, 0, 2, 2), box(1, 0, 3, 2)]
        assert label(pair, min_cover=0.06)[0] == "weed"
        assert label(pair, min_cover=0.061)[0] is None

    def test_several_classes_the_largest_wins(self):
        shapes = [box(0, 0, 10, 3), box(0, 3, 10, 7), box(10, 0, 20, 1)]
        classes = ("sand", "weed", "shrub")
        assert label(shapes, ["weed", "shrub", "weed"], classes=classes) == ["shrub", "weed", "sand"]

    def test_of_two_classes_that_cover_as_much_neither_is_guessed(self):
        found = labels([box(0, 0, 10, 10), box(0, 0, 10, 10), box(10, 0, 20, 10)], ["sand", "weed", "weed"])
        assert [None if pd.isna(name) else name for name in found.names] == [None, "weed", "sand"]
        assert found.disputed.tolist() == [True, False, False]

    def test_a_background_that_is_drawn(self):
        # 40 % of the tile is drawn as sand, 20 % as weed.
        assert label([box(0, 0, 10, 4), box(0, 8, 10, 10)], ["sand", "weed"])[0] == "sand"

    def test_holes_and_parts_count(self):
        ring = Polygon(box(0, 0, 10, 10).exterior, [box(1, 1, 9, 9).exterior])  # 36 m2
        parts = MultiPolygon([box(11, 1, 13, 3), box(15, 1, 17, 3)])  # 8 m2
        assert label([ring, parts], min_cover=0.36) == ["weed", None, "sand"]
        assert label([ring, parts], min_cover=0.08) == ["weed", "weed", "sand"]

    def test_one_that_crosses_itself(self):
        bow_tie = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])  # 50 m2
        assert label([bow_tie], min_cover=0.5)[0] == "weed"

    def test_touching_with_a_side_is_not_covering(self):
        assert label([box(10, 0, 20, 10)], min_cover=0) == ["sand", "weed", "sand"]

    def test_nor_is_a_sliver_of_rounding(self):
        assert label([box(10 - 1e-9, 0, 20 + 1e-9, 10)]) == ["sand", "weed", "sand"]

    def test_without_a_column_there_are_two_classes(self):
        with pytest.raises(InputError, match="has no column 'label'; pass `label_column`, or two `classes`"):
            label([box(0, 0, 1, 1)], classes=("sand", "weed", "shrub"))

    def test_a_column_that_is_empty(self):
        with pytest.raises(InputError, match=r"labels\.gpkg: none of its 2 polygons has a class; fill the column"):
            label([box(0, 0, 1, 1), box(2, 2, 3, 3)], [None, " "])


class TestColumnOfClasses:
    """Points and polygons go by one rule."""

    SHAPES = ([Point(5, 5), Point(15, 5)], [box(0, 0, 10, 10), box(10, 0, 20, 10)])

    @pytest.mark.parametrize("shapes", SHAPES)
    @pytest.mark.parametrize(
        "called", ["Label", "LABEL", "class", "Class_Name", "Class Name", "presence", "species", "CLASS_ID"]
    )
    def test_one_that_is_called_as_such_columns_are_is_taken_and_said(self, shapes, called):
        found = labels(shapes, ["weed", "sand"], called=called, name=["a", "b"])
        assert found.names.tolist()[:2] == ["weed", "sand"]
        assert found.notes == (f"classes are taken from the column {called!r} of labels.gpkg",)

    @pytest.mark.parametrize("shapes", SHAPES)
    def test_label_comes_first_and_nothing_is_said(self, shapes):
        found = labels(shapes, ["weed", "sand"], species=["x", "y"])
        assert (found.names.tolist()[:2], found.notes) == (["weed", "sand"], ())

    @pytest.mark.parametrize("shapes", SHAPES)
    def test_of_several_none_is_guessed(self, shapes):
        with pytest.raises(InputError, match="no column 'label' but Class and species; name one by `label_column`"):
            labels(shapes, ["weed", "sand"], called="Class", species=["x", "y"])
        assert label(shapes, ["weed", "sand"], called="Class", species=["x", "y"], column="Class")[:2] == ["weed", "sand"]

    def test_polygons_without_one_say_what_they_are_taken_for(self):
        found = labels([box(0, 0, 10, 10)], name=["north"])
        assert found.notes == ("labels.gpkg has no column of classes (name): all ground that is drawn is taken for weed",)

    @pytest.mark.parametrize(
        ("called", "values"), [("weed", ["yes", "no"]), ("kind", ["Weed", "sand"]), ("code", [1, 0]), ("seen", [True, False])]
    )
    def test_one_whose_values_tell_absence_is_asked_for(self, called, values):
        shapes = [box(0, 0, 10, 10), box(10, 0, 20, 10)]
        with pytest.raises(InputError, match=f"its column '{called}' seems to tell classes apart; .* `label_column={called}`"):
            labels(shapes, values, called=called)

    @pytest.mark.parametrize(("called", "values"), [("id", [0, 1]), ("OBJECTID", [0, 1]), ("name", ["north", "no"])])
    def test_one_that_numbers_or_names_shapes_is_not(self, called, values):
        assert label([box(0, 0, 10, 10), box(10, 0, 20, 10)], values, called=called) == ["weed", "weed", "sand"]

    def test_codes_stand_back_behind_names(self):
        found = labels([box(0, 0, 10, 10)], ["weed"], called="Classname", Classvalue=[3])
        assert (found.names[0], found.notes) == ("weed", ("classes are taken from the column 'Classname' of labels.gpkg",))

    def test_of_tiles_too(self):
        found = of_column(TILES.assign(Category=["a", "b", "a"]), None)
        assert found.names.tolist() == ["a", "b", "a"]
        assert found.notes == ("classes are taken from the column 'Category' of labels.gpkg",)


class TestGroundOfNoClass:
    def test_is_not_background(self):
        found = labels([box(0, 0, 10, 10), box(10, 0, 20, 4)], ["weed", None])
        assert [None if pd.isna(name) else name for name in found.names] == ["weed", None, "sand"]
        assert found.notes == (
            "1 polygon of labels.gpkg has no class, the first of them at 15.0, 2.0",
            "tiles with more ground of polygons without a class than of any class have no label",
        )

    @pytest.mark.parametrize(("width", "expected"), [(4.9, "weed"), (5.1, None)])
    def test_beside_a_class_the_larger_part_decides(self, width, expected):
        assert label([box(0, 0, 10 - width, 10), box(10 - width, 0, 10, 10)], ["weed", " "])[0] == expected

    def test_points_of_none_are_counted(self):
        found = labels([Point(5, 5), Point(15, 5), Point(16, 5)], ["weed", None, ""])
        assert found.notes == ("2 points of labels.gpkg have no class, the first of them at 15.0, 5.0",)


class TestEdges:
    """A point on an edge is in one tile, the one to its south-east."""

    TILES = gpd.GeoDataFrame(
        geometry=[box(10 * x, -10 * y - 10, 10 * x + 10, -10 * y) for y in range(2) for x in range(2)], crs="EPSG:32612"
    )

    @pytest.mark.parametrize(
        ("place", "expected"),
        [((10, -10), [3]), ((10, -5), [1]), ((5, -10), [2]), ((20, -10), [3]), ((0, 0), [0]), ((20, -20), [3]), ((20, 0), [1])],
    )
    @pytest.mark.parametrize("off", [0, 1e-9, -1e-9])
    def test_which_tile(self, place, expected, off):
        points = gpd.GeoDataFrame({"label": ["weed"]}, geometry=[Point(place[0] + off, place[1] - off)], crs="EPSG:32612")
        found = labels_from_vector(self.TILES, points, column=None, classes=("sand", "weed"), min_cover=0.05, where=WHERE)
        assert np.flatnonzero(found.names.notna()).tolist() == expected
        assert found.source.used.tolist() == [True]

    def test_where_tiles_overlap_a_point_inside_of_one_is_in_that_alone(self):
        tiles = gpd.GeoDataFrame(geometry=[box(0, 0, 10, 10), box(5, 0, 15, 10), box(10, 0, 20, 10)], crs="EPSG:32612")
        points = gpd.GeoDataFrame({"label": ["weed"]}, geometry=[Point(10, 5)], crs="EPSG:32612")
        found = labels_from_vector(tiles, points, column=None, classes=("sand", "weed"), min_cover=0.05, where=WHERE)
        assert found.names.notna().tolist() == [False, True, False]


class TestCover:
    """Cover in per cent, as field sheets have it."""

    def test_becomes_a_class_by_the_least_share(self):
        points = [Point(5, 5), Point(15, 5), Point(25, 5)]
        found = labels(points, ["0", "4.9", "5"], called="cover", column="cover")
        assert [None if pd.isna(name) else name for name in found.names] == ["sand", None, "weed"]
        assert found.notes == (
            "of 3 points of labels.gpkg, 1 with 5 % of 'cover' or more are taken for weed, 1 with 0 % for sand, "
            "and 1 with less for neither (`min_cover`)",
        )
        assert label(points, [0, 4.9, 5], called="cover", column="cover", min_cover=0.04) == ["sand", "weed", "weed"]

    def test_is_known_by_its_name_or_its_signs(self):
        points = [Point(5, 5), Point(15, 5)]
        found = labels(points, ["30", None], called="Cover_Percent")
        assert found.names.tolist()[0] == "weed"
        assert found.notes[0] == "classes are taken from the column 'Cover_Percent' of labels.gpkg"
        assert found.notes[-1] == "1 point of labels.gpkg has no class, the first of them at 15.0, 5.0"
        assert label(points, ["30 %", "none"], column="seen", called="seen")[:2] == ["30 %", "none"]
        assert label(points, ["30 %", "0%"], column="seen", called="seen")[:2] == ["weed", "sand"]

    @pytest.mark.parametrize(
        ("called", "values"), [("cover_class", [2, 3]), ("cover", [0, 1]), ("cover", ["dense", "sparse"]), ("label", [10, 0])]
    )
    def test_what_is_none_stays_as_it_is(self, called, values):
        found = label([Point(5, 5), Point(15, 5)], values, called=called, column=called)[:2]
        assert found == (["sand", "weed"] if values == [0, 1] else [str(value) for value in values])

    @pytest.mark.parametrize(
        ("called", "values", "why"),
        [
            (
                "cover",
                [0.3, 0.9],
                "cover is nowhere more than 1, and may be in per cent or a share; write 30 %",
            ),
            ("cover", [30, 101], "cover is not all from 0 to 100"),
            ("cover", ["30", "<1"], "cover '<1' in row 2 cannot be read"),
        ],
    )
    def test_what_may_mean_something_else_is_refused(self, called, values, why):
        with pytest.raises(InputError, match=why):
            labels([Point(5, 5), Point(15, 5)], values, called=called, column=called)

    def test_tells_two_classes_apart(self):
        with pytest.raises(InputError, match=r"which tells two classes apart; pass two `classes`"):
            labels([Point(5, 5)], [30], called="cover", classes=("sand", "weed", "thistle"))


class TestNotKnown:
    def test_what_tables_say_of_it_is_no_class(self):
        found = labels([Point(5, 5), Point(15, 5)], ["weed", "NA"])
        assert found.names.isna().tolist() == [False, True, True]
        assert found.notes == (
            "'NA' in the column 'label' of labels.gpkg is no class, unless `classes` names it",
            "1 point of labels.gpkg has no class, the first of them at 15.0, 5.0",
        )
        assert label([Point(5, 5), Point(15, 5)], ["weed", "NA"], classes=("NA", "weed"))[:2] == ["weed", "NA"]

    def test_none_is_absence(self):
        assert label([Point(5, 5), Point(15, 5)], ["yes", "None"])[:2] == ["weed", "sand"]


class TestWords:
    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            (["1", "0"], ["weed", "sand"]),
            ([1.0, 0.0], ["weed", "sand"]),
            (["Yes", "no"], ["weed", "sand"]),
            (["weed", "-"], ["weed", "sand"]),
            ([1, 2], ["1", "2"]),  # codes stay codes
            (["yes", "thistle"], ["yes", "thistle"]),
        ],
    )
    def test_stand_for_two_classes_where_all_are_such_words(self, said, expected):
        assert label([Point(5, 5), Point(15, 5)], said)[:2] == expected


def test_which_shapes_lie_on_tiles():
    assert labels([Point(5, 5), Point(500, 5), Point(15, 5)], ["weed"] * 3).source.used.tolist() == [True, False, True]
    assert labels([box(500, 0, 510, 9), box(5, 0, 9, 9)], ["weed", "sand"]).source.used.tolist() == [False, True]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*(st.floats(-3, 33),) * 4, st.sampled_from(["sand", "weed", "shrub"])), min_size=1, max_size=8))
def test_cover_is_that_of_the_union_of_a_class(drawn):
    shapes = [box(min(x, u), min(y, v), max(x, u) + 0.1, max(y, v) + 0.1) for x, y, u, v, _ in drawn]
    names = np.array([name for *_, name in drawn])
    found = labels(shapes, names, classes=("sand", "weed", "shrub"))
    for tile, name in zip(TILES.geometry, found.names, strict=True):
        cover = {c: union_all([s for s, n in zip(shapes, names, strict=True) if n == c]).intersection(tile).area for c in names}
        best = max(cover.values())
        if best < 1e-3 or abs(best - 5) < 1e-3 or sum(abs(best - area) < 1e-3 for area in cover.values()) > 1:
            continue  # slivers, the least cover, and a draw
        assert (None if pd.isna(name) else name) == (max(cover, key=cover.get) if best > 5 else None)


@pytest.mark.parametrize("shapes", [[Point(5, 5), box(0, 0, 1, 1)], [LineString([(0, 0), (1, 1)])]])
def test_neither_points_nor_polygons(shapes):
    with pytest.raises(InputError, match="labels come from points or from polygons"):
        label(shapes, ["weed"] * len(shapes))


class TestOrder:
    def test_sorted_where_nobody_says(self):
        assert order_classes(pd.Series(["present", "absent", None, "present"]), None) == ("absent", "present")

    def test_as_given(self):
        assert order_classes(pd.Series(["leafy", "none"]), ("none", "leafy")) == ("none", "leafy")

    @pytest.mark.parametrize(
        ("labels", "classes", "message"),
        [
            (["a", "b"], ("a", "c"), "label 'b' is none of the classes a, c"),
            (["a", "a"], None, "the labels are all 'a'; a dataset needs tiles of two classes"),
            ([None], None, "the labels are all empty"),
            (["a", "b"], ("a", "b", "c"), r"class 'c' has no tile \(found: a, b\)"),
        ],
    )
    def test_classes_that_do_not_fit(self, labels, classes, message):
        with pytest.raises(InputError, match=message):
            order_classes(pd.Series(labels, dtype=object), classes)


def test_absence_comes_first_where_no_classes_are_given():
    labels = pd.Series(["Acacia", "absent", None, "absent", "spurge"])
    assert order_classes(labels, None) == ("absent", "Acacia", "spurge")
    assert order_classes(pd.Series(["Euphorbia esula", "none"]), None) == ("none", "Euphorbia esula")
