"""Families of ground markers: what each looks like, and how sure its detections are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spurgekit.errors import InputError
from spurgekit.registry import Registry

if TYPE_CHECKING:
    from spurgekit.markers.marker import MarkerDetector
    from spurgekit.markers.template import Template


@dataclass(frozen=True, slots=True)
class ScoreWeights:
    """Weights of the measures of a fit, and what is added to their sum; see :mod:`spurgekit.markers.marker_score`."""

    likeness: float
    contrast: float
    size: float
    stretch: float
    bias: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerFamily:
    """A family of ground markers.

    Attributes
    ----------
    name : str
        As options and lists of markers have it.
    description : str
        What it looks like.
    template : callable
        ``template()`` returns the :class:`~spurgekit.markers.template.Template` that is looked for, each time the same one, as
        what is drawn of it is kept. It is a function, so that the families can be listed without a library of arrays.
    weights : ScoreWeights
        What makes a detection likely to be one; ``python -m tests.benchmarks.fit_marker_scores`` fits them.
    dictionary : str, optional
        OpenCV's dictionary, where its markers carry codes, e.g. ``DICT_4X4_50``.
    """

    name: str
    description: str
    template: Callable[[], Template]
    weights: ScoreWeights
    dictionary: str | None = None

    def detector(self, size_m: float, *, ids: Sequence[int] = (), color: Sequence[int] | None = None) -> MarkerDetector:
        """Return what finds its markers.

        Parameters
        ----------
        size_m : float
            Side or diameter in metres; of a coded marker, the side of its black square.
        ids : sequence of int
            The codes that were laid out, of coded markers.
        color : sequence of int, optional
            Red, green and blue of plain targets; by default they are brighter than their surroundings.

        Raises
        ------
        InputError
            If the family has no use for what was passed.
        """
        if not size_m > 0:
            raise InputError(f"a marker of {size_m} m cannot be; pass its side or diameter in metres as `marker_size_m`")
        if self.dictionary is not None:
            if color is not None:
                raise InputError(f"{self.name} markers are black and white; `marker_color` goes with panel and disc")
            from spurgekit.markers.aruco import CodedDetector

            return CodedDetector(self.name, size_m, tuple(ids))
        if ids:
            raise InputError(f"{self.name} markers carry no codes; `marker_ids` goes with aruco and apriltag families")
        from spurgekit.markers.target_detector import TargetDetector

        if color is None:
            return TargetDetector(self.name, size_m)
        if not self.template().plain:
            raise InputError(f"{self.name} markers are light and dark; `marker_color` goes with panel and disc")
        if len(color) != 3 or not all(0 <= value <= 255 for value in color):
            raise InputError(
                f"a colour is red, green and blue from 0 to 255, such as 200,40,30, not {','.join(map(str, color))}"
            )
        return TargetDetector(self.name, size_m, (color[0], color[1], color[2]))


def _template(name: str) -> Callable[[], Template]:
    """Return a function that returns a template of our own."""

    def load() -> Template:
        from spurgekit.markers import template

        found: Template = getattr(template, name)
        return found

    return load


def _coded(bits: int) -> Callable[[], Template]:
    """Return a function that returns the template of coded markers with so many bits a side."""

    def load() -> Template:
        from spurgekit.markers.template import CODED

        return CODED[bits]

    return load


CODED_WEIGHTS = ScoreWeights(6.1, 5.2, 0.1, -3.4, -8.5)

FAMILIES = Registry(
    "family of markers",
    [
        MarkerFamily(
            name="cross",
            description="a light cross from edge middle to edge middle of a dark square panel",
            template=_template("CROSS"),
            weights=ScoreWeights(6.9, 2.5, -3.2, -4.4, -8.3),
        ),
        MarkerFamily(
            name="dark-cross",
            description="the same in dark on light",
            template=_template("DARK_CROSS"),
            weights=ScoreWeights(7.6, 2.2, -1.6, -2.1, -9.4),
        ),
        MarkerFamily(
            name="checker",
            description="two light and two dark quarters of a square",
            template=_template("CHECKER"),
            weights=ScoreWeights(7.3, 2.1, -0.4, -1.4, -12.6),
        ),
        MarkerFamily(
            name="bullseye",
            description="a dark ring on a light disc",
            template=_template("BULLSEYE"),
            weights=ScoreWeights(5.1, 3.8, -0.8, -2.0, -6.8),
        ),
        MarkerFamily(
            name="panel",
            description="a plain light square, or one of a colour",
            template=_template("PANEL"),
            weights=ScoreWeights(2.3, -0.5, -6.0, -3.6, -4.8),  # stones and buckets stand out more than panels do
        ),
        MarkerFamily(
            name="disc",
            description="a plain light disc, or one of a colour",
            template=_template("DISC"),
            weights=ScoreWeights(2.0, -0.3, -6.1, -4.4, -4.4),
        ),
        *(
            MarkerFamily(
                name=f"aruco-{bits}x{bits}-{count}",
                description=f"ArUco's codes of {bits} x {bits} bits, {count} of them",
                template=_coded(bits),
                weights=CODED_WEIGHTS,
                dictionary=f"DICT_{bits}X{bits}_{count}",
            )
            for bits in (4, 5, 6, 7)
            for count in (50, 100, 250, 1000)
        ),
        *(
            MarkerFamily(
                name=f"apriltag-{code}",
                description=f"AprilTag's codes of {bits} x {bits} bits that differ in {code[3:]} or more",
                template=_coded(bits),
                weights=CODED_WEIGHTS,
                dictionary=f"DICT_APRILTAG_{code}",
            )
            for code, bits in (("16h5", 4), ("25h9", 5), ("36h10", 6), ("36h11", 6))
        ),
    ],
)
"""All families; yours is one more: ``FAMILIES.register(MarkerFamily(...))``."""
