"""How places were held out, as descriptions of datasets and models have it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from spurgekit.reading import Described, Line, Positive, Share

BLOCKS = "blocks"


class SplitInfo(Described):
    """How places were held out.

    Attributes
    ----------
    by : str
        The column whose groups were held out, or that says train or test of each tile; ``blocks`` for blocks of ground.
    given : bool
        Whether that column says train or test.
    test_groups : tuple of str, optional
        The groups that were held out.
    block_m : float, optional
        Side of a block.
    cluster_distance_m : float, optional
        Steps in which one can walk between points of one cluster.
    splitter : str, optional
        The splitter whose first fold it is.
    test_share : float, optional
        Share of the tiles that was to be held out, where that was drawn.
    seed : int, optional
        Of what was drawn.
    buffer_m : float, optional
        Training tiles within this distance of a test tile are left out; 0 leaves out those that touch one, None none.
    """

    by: Line
    given: bool = False
    test_groups: tuple[str, ...] | None = None
    block_m: Positive | None = None
    cluster_distance_m: Positive | None = None
    splitter: Line | None = None
    test_share: Share | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    buffer_m: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _says_how_large_blocks_are(self) -> SplitInfo:
        if self.of_blocks and self.block_m is None:
            raise ValueError("blocks were held out, and block_m is missing")
        return self

    @model_serializer(mode="wrap")
    def _without_what_does_not_apply(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {
            name: value
            for name, value in dump(self).items()
            if (value is not None and value is not False) or name == "buffer_m"
        }

    @property
    def of_blocks(self) -> bool:
        """Whether blocks of ground were held out."""
        return self.by == BLOCKS

    @property
    def held_out(self) -> str:
        """Return what was held out, in a few words."""
        if self.of_blocks:
            return f"blocks of {self.block_m:g} m"
        if self.given:
            return f"what {self.by} says"
        return f"{self.by} {', '.join(self.test_groups or ())}"

    def describe(self) -> str:
        """Return a sentence or two on how places were held out."""
        if self.of_blocks:
            text = f"By place: square blocks of {self.block_m:g} m are held out whole, drawn with seed {self.seed}"
        elif self.given:
            text = f"As the column `{self.by}` of the tiles says"
        else:
            text = f"By place: whole groups of `{self.by}` are held out ({', '.join(self.test_groups or ())})"
        if self.splitter is not None:
            text += f", the first fold of {self.splitter}"
        if self.cluster_distance_m is not None:
            text += f"; points of one cluster can be walked between in steps of {self.cluster_distance_m:g} m"
        if self.buffer_m is not None:
            distance = f"lie within {self.buffer_m:g} m of" if self.buffer_m else "touch"
            text += f"; training tiles that {distance} a test tile are left out"
        return f"{text}."
