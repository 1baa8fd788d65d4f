"""Options take what people pass, and refuse what they do not know."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pytest

import spurgekit
from spurgekit.errors import InputError, renamed
from spurgekit.options import Options, choices_of, described, kinds_of, within
from spurgekit.registry import Registry


class Shape(NamedTuple):
    name: str


SHAPES = Registry("shape", [Shape("round"), Shape("square")])


@dataclass(frozen=True, kw_only=True)
class Inner(Options):
    """Inner options.

    Attributes
    ----------
    steps : int
        How many.
    """

    steps: int = 1

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if self.steps < 1:
            raise InputError(f"`steps={self.steps}` is too small; pass 1 or more")


@dataclass(frozen=True, kw_only=True)
class Example(Options):
    """Options of all kinds.

    Attributes
    ----------
    file : pathlib.Path, optional
        A file. Default: none.

        What is said after a blank line is for those who read the code.
    shots : tuple of int
        Numbers, over
        two lines.
    """

    file: Path | None = None
    shots: tuple[int, ...] = ()
    pair: tuple[float, float] = (0.0, 0.0)
    names: tuple[str, ...] | None = None
    layout: Literal["grid", "points"] = "grid"
    kind: Literal["auto"] | Annotated[str, SHAPES] = "auto"
    shape: Annotated[str, SHAPES] = "round"
    size: float = 1.0
    count: int = 1
    on: bool = False
    inner: Inner = Inner()


class TestWhatIsTaken:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ({"file": "a.tif"}, Path("a.tif")),
            ({"file": Path("a.tif")}, Path("a.tif")),
            ({"file": None}, None),
            ({"shots": 4}, (4,)),
            ({"shots": [1, 4]}, (1, 4)),
            ({"shots": np.array([1, 4])}, (1, 4)),
            ({"pair": [1, 2]}, (1.0, 2.0)),
            ({"names": "north"}, ("north",)),
            ({"names": [3, "north"]}, ("3", "north")),
            ({"size": 2}, 2.0),
            ({"size": np.float32(0.5)}, 0.5),
            ({"count": np.int64(7)}, 7),
            ({"kind": "auto"}, "auto"),
            ({"kind": "square"}, "square"),
            ({"shape": "square"}, "square"),
        ],
    )
    def test_is_brought_into_its_type(self, given, kept):
        (name,) = given
        found = getattr(Example(**given), name)
        assert found == kept
        assert type(found) is type(kept)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"layout": "point"}, "`layout='point'` cannot be, did you mean points? known are grid, points"),
            ({"kind": "rond"}, "`kind='rond'` cannot be, did you mean round? known are auto, round, square"),
            ({"shape": "oval"}, "there is no shape 'oval'; known are round, square"),
            ({"file": 3}, "`file=3` is not a path"),
            ({"count": 1.5}, "`count=1.5` is not a whole number"),
            ({"count": True}, "`count=True` is not a whole number"),
            ({"on": "yes"}, "`on='yes'` is not True or False"),
            ({"size": "large"}, "`size='large'` is not a number"),
            ({"pair": (1, 2, 3)}, "`pair=(1, 2, 3)` has to be 2 values"),
            ({"shots": ["a"]}, "`shots='a'` is not a whole number"),
        ],
    )
    def test_other_values_are_refused(self, given, said):
        with pytest.raises(InputError) as caught:
            Example(**given)
        assert str(caught.value) == said

    def test_options_are_passed_by_name(self):
        with pytest.raises(TypeError):
            Example("a.tif")

    def test_what_replaces_a_value_is_looked_at_too(self):
        assert replace(Example(), file="b.tif").file == Path("b.tif")
        with pytest.raises(InputError, match="cannot be"):
            replace(Example(), layout="points ")


class TestDeclaration:
    def test_choices(self):
        kinds = kinds_of(Example)
        assert choices_of(kinds["layout"]) == ("grid", "points")
        assert choices_of(kinds["kind"]) == ("auto", "round", "square")
        assert choices_of(kinds["shape"]) == ("round", "square")
        assert choices_of(kinds["size"]) == ()

    def test_what_is_said_of_each(self):
        assert described(Example)["file"] == "A file. Default: none."
        assert described(Example)["shots"] == "Numbers, over two lines."

    def test_all_by_name(self):
        assert Example(inner=Inner(steps=3)).parameters()["inner"] == {"steps": 3}

    @pytest.mark.parametrize("name", [name for name in spurgekit.__all__ if name.endswith("Options")])
    def test_every_class_of_the_public_face_can_be_made_as_it_stands(self, name):
        cls = getattr(spurgekit, name)
        made = cls()
        assert set(made.parameters()) == set(kinds_of(cls))
        assert replace(made) == made


class TestNames:
    """Messages name parameters as the one who passed them calls them."""

    def test_of_options_within_options(self):
        with pytest.raises(InputError, match=r"^`inner\.steps=0` is too small"), within("inner", Inner):
            Inner(steps=0)

    def test_of_what_was_passed_on_under_another_name(self):
        with pytest.raises(InputError, match=r"^pass `points_crs`, e\.g\. `points_crs=EPSG:4326`; not `crs`$"):  # noqa: SIM117
            with renamed(declared_crs="points_crs"):
                raise InputError("pass `declared_crs`, e.g. `declared_crs=EPSG:4326`; not `crs`")


class TestRegistry:
    def test_one_more(self):
        registry = Registry("shape", [Shape("round")])
        registry.register(Shape("oval"))
        assert list(registry) == ["round", "oval"]
        registry.unregister("oval")
        assert "oval" not in registry

    def test_no_two_of_one_name(self):
        with pytest.raises(ValueError, match="there is a shape 'round' already"):
            SHAPES.register(Shape("round"))

    def test_of_no_such_name(self):
        with pytest.raises(InputError, match="there is no shape 'rund', did you mean round"):
            SHAPES["rund"]
        assert SHAPES.get("rund") is None
