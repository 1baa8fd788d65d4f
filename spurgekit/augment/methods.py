"""Ways to make synthetic tiles: with a diffusion model, and by cutting and pasting, without one or ahead of it."""

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
    mode : {"edit", "text", "roundtrip"} or None
        What the model does to a tile; see :data:`spurgekit.diffusion.edits.Mode`. None: there is no model.
    pastes : bool
        Whether what a mask has of a tile is cut out and pasted onto other ground first; see
        :mod:`spurgekit.augment.pasting`.
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
    mode: Mode | None = "edit"
    pastes: bool = False
    learns_words: bool = False
    takes_words: bool = True
    strengths: str = PUBLISHED_STRENGTHS
    images: int | None = None
    shares_images: bool = False
    render: Callable[[Renderer, EditUnit], Rendered] | None = None

    def __post_init__(self) -> None:
        if self.mode is None and not self.pastes:
            raise ValueError(f"the method {self.name!r} has neither a model nor what is pasted")

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
        AugmentMethod(
            name="insertion",
            description="plants cut out by masks, pasted onto ground without labels, and edited there as DA-Fusion edits tiles",
            pastes=True,
            learns_words=True,
            strengths="0.3",
        ),
        AugmentMethod(
            name="copy-paste",
            description="a control: the same plants on the same ground, and no model (Dwibedi et al. 2017)",
            mode=None,
            pastes=True,
            takes_words=False,
        ),
    ],
)
"""All methods; yours is one more: ``METHODS.register(AugmentMethod(...))``."""
