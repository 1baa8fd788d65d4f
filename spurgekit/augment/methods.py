"""Ways to make synthetic tiles with a diffusion model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spurgekit.registry import Registry

if TYPE_CHECKING:
    from spurgekit.diffusion.edits import EditUnit, Mode, Rendered
    from spurgekit.diffusion.render import Renderer


PUBLISHED_STRENGTHS = "1,0.75,0.5,0.25"
"""Of DA-Fusion (Trabucco et al. 2024): each synthetic image draws one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentMethod:
    """A way to make synthetic tiles.

    Attributes
    ----------
    name : str
    description : str
    mode : {"edit", "text", "roundtrip"}
        What the model does to a tile; see :data:`spurgekit.diffusion.edits.Mode`.
    learns_words : bool
        Whether a word for each class is learned of each support set, by textual inversion.
    takes_words : bool
        Whether prompts may name such words where it need not learn them.
    strengths : str
        Of edits, where the options name none.
    images : int, optional
        Images of each tile, whatever is asked for; where asking for more would give the same again.
    shares_images : bool
        Whether an image without words is the same in each support set that holds its tile, so that it is made once. One that
        learns of the support set in any other way has to say False, lest what it learned of one is tested with another.
    render : callable, optional
        ``render(renderer, unit)`` makes the images of an :class:`~spurgekit.diffusion.edits.EditUnit`, where it is not
        :meth:`spurgekit.diffusion.render.Renderer.render`. A function of a module, for several GPUs have a process each.
    """

    name: str
    description: str
    mode: Mode = "edit"
    learns_words: bool = False
    takes_words: bool = True
    strengths: str = PUBLISHED_STRENGTHS
    images: int | None = None
    shares_images: bool = False
    render: Callable[[Renderer, EditUnit], Rendered] | None = None

    def make(self, renderer: Renderer, unit: EditUnit) -> Rendered:
        """Make the images of a unit."""
        return renderer.render(unit) if self.render is None else self.render(renderer, unit)


METHODS = Registry(
    "method",
    [
        AugmentMethod(
            name="da-fusion",
            description="edits of real tiles (SDEdit) by a word that is learned for each class (Trabucco et al. 2024)",
            learns_words=True,
            shares_images=True,
        ),
        AugmentMethod(
            name="real-guidance",
            description="the same edits by the plain names of the classes (He et al. 2023)",
            takes_words=False,
            strengths="0.5",
            shares_images=True,
        ),
        AugmentMethod(name="text-to-image", description="images from the prompt alone", mode="text", shares_images=True),
        AugmentMethod(
            name="roundtrip",
            description="a control: real tiles through the model's encoder and decoder, and nothing else",
            mode="roundtrip",
            images=1,
            shares_images=True,
        ),
    ],
)
"""All methods; yours is one more: ``METHODS.register(AugmentMethod(...))``."""
