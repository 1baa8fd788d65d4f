"""How synthetic tiles are made: options, presets, and prompts for classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from spurgekit.augment.mask_options import MaskOptions
from spurgekit.augment.methods import METHODS, AugmentMethod
from spurgekit.augment.strengths import StrengthSchedule, parse_strengths
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.diffusion.checkpoint_options import CheckpointOptions
from spurgekit.diffusion.edits import Mode, RenderOptions
from spurgekit.diffusion.schedulers import SCHEDULERS
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.diffusion.tokens import TOKEN, token_of
from spurgekit.errors import InputError, known_names

CONCEPT, CLASS, OTHERS = "{concept}", "{class}", "{others}"
"""What stands in a prompt for the class: its token (its name where nothing was learned), and always its name; and in a negative
prompt for the other classes, as ``{concept}`` stands for one."""

GAMMA = 0.5
"""How fast the label of a cross-class edit goes over to the new class, as in Diff-Mix's own runs with 5 shots; with whole
training sets it is 0.8 there."""


@dataclass(frozen=True, kw_only=True)
class AugmentOptions(FoldOptions, MaskOptions, CheckpointOptions):
    """How synthetic tiles are made.

    Attributes
    ----------
    method : str
        How they are made.

        See :data:`spurgekit.augment.methods.METHODS`.
    shots : tuple of int
        Tiles a class of the support sets that they are made of. Default: all, the training split.
    trials : int
        Support sets of each number of shots.
    images : int
        Synthetic tiles of each real one. Default: 10; published: 50.

        M of the paper; a round trip gives one, whatever is asked for.
    strengths : str, optional
        Strengths of edits: some, a range, or either by shots, e.g. 1:0.5-1;8:0.1-0.3. Default: the method's.

        See :func:`spurgekit.augment.strengths.parse_strengths`.
    guidance : float
        Weight of the prompt.

        Classifier-free guidance (Ho and Salimans 2022).
    steps : int
        Steps of the scheduler. Default: 25; published: 50.

        Over the whole of its noise; an edit takes ``int(steps * strength)`` of them.
    scheduler : str
        How noise is taken out. Default: dpm++; published: pndm.

        See :data:`spurgekit.diffusion.schedulers.SCHEDULERS`.
    size_px : int, optional
        Side at which the model works. Default: the model's; published: 512.
    keep_detail : bool
        Add to each edit what its tile loses on its way through the model's encoder and back.

        A weak edit is then the tile but for what was edited, not a copy out of focus.
    prompts : tuple of str
        '{concept}' stands for the class. May be repeated. Default: 'a drone photo of {concept}'.

        They are taken in turn, from one that the seed fixes. ``{concept}`` stands for the class's token, or its name where
        nothing was learned, ``{class}`` for its name. A prompt that names a token itself is for the class of the first such
        token.
    negative : str
        What is not wanted in the pictures; '{others}' stands for the other classes, '{class}' for what the model knew by the
        class's name.

        At each step the prediction goes away from that for this prompt, by the guidance. Tokens of classes may be named, too;
        ``{others}`` is their tokens, or their names where nothing was learned.
    embeddings : pathlib.Path
        Folder of what 'invert' learned; learned first where missing.
    concept_scale : float
        Multiplies the vectors of what was learned.
    concept_noise : float
        Standard deviation of noise on these vectors, for each image anew, e.g. 0.01.
    unlabelled : pathlib.Path, optional
        Folder of tiles without labels that plants are pasted onto. Default: the dataset's own, or where it has none the tiles
        of the first class of each support set.
    min_cover : float, optional
        Share of a tile from which on a pasted plant makes it one of its class. Default: the dataset's, or 0.05.
    cross : float
        Share of edits from a tile of another class, with soft labels.

        Diff-Mix, Wang et al. 2024.
    gamma : float
        How fast these labels go over to the new class.

        See :func:`spurgekit.augment.manifest.soft_share`.
    drop_duplicates : bool
        Weight 0 for images that show what an earlier one of their class and support set shows.
    batch_size : int
        Images at once; changes none of them.

        But for the rounding of sums.
    compile : bool
        Compile the model on GPUs: worth it for thousands of images.

        It takes a minute or two.
    device : str
        Where the model runs; several, parted by commas, share the work. Default: all GPUs, else the CPU.
    inversion : InversionOptions
        How words are learned, where ``embeddings`` is not there.
    seed : int
        Of all that is drawn: 0 or more.
    """

    method: Annotated[str, METHODS] = "da-fusion"
    shots: tuple[int, ...] = (ALL_SHOTS,)
    trials: int = 20
    images: int = 10
    strengths: str | None = None
    guidance: float = 7.5
    steps: int = 25
    scheduler: Annotated[str, SCHEDULERS] = "dpm++"
    size_px: int | None = None
    keep_detail: bool = False
    prompts: tuple[str, ...] = ("a drone photo of {concept}",)
    negative: str = ""
    embeddings: Path = Path("embeddings")
    concept_scale: float = 1.0
    concept_noise: float = 0.0
    unlabelled: Path | None = None
    min_cover: float | None = None
    cross: float = 0.0
    gamma: float = GAMMA
    drop_duplicates: bool = False
    batch_size: int = 16
    compile: bool = False
    inversion: InversionOptions = field(default_factory=InversionOptions)
    seed: int = 0

    def __post_init__(self) -> None:
        MaskOptions.__post_init__(self)
        FoldOptions.__post_init__(self)
        for name in ("images", "steps", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}={getattr(self, name)}` is too small; pass 1 or more")
        if not self.guidance >= 0 or not self.concept_noise >= 0 or not self.gamma > 0:
            raise InputError("`guidance`, `concept_noise` and `gamma` cannot be below 0")
        if not 0 <= self.cross <= 1:
            raise InputError(f"`cross={self.cross:g}` is not a share; pass a number from 0 to 1")
        if self.cross and (self.mode != "edit" or self.pastes):
            raise InputError(f"`cross` edits real tiles, which {self.method} does not; leave it out")
        if self.min_cover is not None and not 0 <= self.min_cover <= 1:
            raise InputError(f"`min_cover={self.min_cover:g}` is not a share; pass a number from 0 to 1")
        if self.pastes and self.where != "inside":
            raise InputError(f"{self.method} cuts out what is inside of a mask; leave `where` out")
        for name in ("unlabelled", "min_cover"):
            if getattr(self, name) is not None and not self.pastes:
                raise InputError(f"`{name}` is about what is pasted, and {self.method} pastes nothing; leave it out")
        if self.mask is not None and self.mode == "text":
            raise InputError(f"{self.method} edits no tile; leave `mask` out")
        if self.keep_detail and self.mode != "edit":
            raise InputError(f"`keep_detail` is of tiles that are edited, which {self.method} does not; leave it out")
        if self.negative and (not self.reads_prompts or self.guidance <= 1):
            why = f"a guidance of {self.guidance:g} has none" if self.reads_prompts else f"{self.method} reads no prompts"
            raise InputError(f"`negative` steers away from a prompt, and {why}; leave it out, or pass a `guidance` above 1")
        if self.size_px is not None and (self.size_px < 64 or self.size_px % 64):
            raise InputError(f"the model cannot work at {self.size_px} px; pass a multiple of 64")
        if not self.prompts:
            raise InputError("pass at least one prompt in `prompts`")
        if not self._way.takes_words and self.learns:
            raise InputError(f"{self.method} learns no tokens; write {CLASS} in the prompt, or pass `method=da-fusion`")
        self.schedule  # noqa: B018 - refuses what are no strengths

    @classmethod
    def of(cls, preset: str = "spurgekit", **changes: Any) -> AugmentOptions:
        """Return the options of a preset, with others in place of some of them.

        Raises
        ------
        InputError
            If there is no such preset, or options do not fit.

        Examples
        --------
        >>> AugmentOptions.of("published", images=4).scheduler
        'pndm'
        """
        if preset not in PRESETS:
            raise InputError(f"there is no preset {preset!r}{known_names(preset, PRESETS)}")
        return replace(PRESETS[preset], **changes)

    @property
    def _way(self) -> AugmentMethod:
        return METHODS[self.method]

    @property
    def mode(self) -> Mode | None:
        """What a model does to a tile; None where there is no model."""
        return self._way.mode

    @property
    def pastes(self) -> bool:
        """Whether plants are pasted onto other ground."""
        return self._way.pastes

    @property
    def reads_prompts(self) -> bool:
        """Whether there is a model that is told something."""
        return self.mode in ("edit", "text")

    @property
    def schedule(self) -> StrengthSchedule:
        """The strengths of edits."""
        return parse_strengths(self.strengths or self._way.strengths)

    @property
    def images_per_tile(self) -> int:
        """Images that are made of each tile."""
        return self._way.images or self.images

    @property
    def learns(self) -> bool:
        """Whether the model must have learned the classes: for the method, or for prompts that name their tokens."""
        prompts = (*self.prompts, self.negative)
        named = any(TOKEN.search(prompt) for prompt in prompts)
        return self._way.learns_words or (self.reads_prompts and named)

    @property
    def render(self) -> RenderOptions:
        """What the renderer is told."""
        return RenderOptions(
            steps=self.steps,
            guidance=self.guidance,
            scheduler=self.scheduler,
            size_px=self.size_px,
            keep_detail=self.keep_detail,
            compile=self.compile,
        )

    def prompts_of(self, name: str, classes: Sequence[str]) -> list[str]:
        """Return the prompts for a class.

        Raises
        ------
        InputError
            If a prompt names a token of none of the classes, or there is no prompt for the class.
        """
        tokens = {token_of(other): other for other in classes}
        found = []
        for prompt in self.prompts:
            literal = _known_tokens(prompt, "prompt", tokens)
            if literal and tokens[literal[0]] != name:
                continue
            found.append(self._filled(prompt, name))
        if not found:
            raise InputError(f"no prompt is for {name!r}; add one with {CONCEPT} or {token_of(name)}")
        return found

    def negative_of(self, name: str, classes: Sequence[str]) -> str:
        """Return the negative prompt for a class.

        Raises
        ------
        InputError
            If it names a token of none of the classes.

        Examples
        --------
        >>> AugmentOptions(negative="{others}").negative_of("weed", ("grass", "weed", "sand"))
        '<grass>, <sand>'
        """
        _known_tokens(self.negative, "negative prompt", {token_of(other): other for other in classes})
        others = ", ".join(self._filled(CONCEPT, other) for other in classes if other != name)
        return self._filled(self.negative.replace(OTHERS, others), name)

    def _filled(self, prompt: str, name: str) -> str:
        return prompt.replace(CONCEPT, token_of(name) if self.learns else name).replace(CLASS, name)


def _known_tokens(prompt: str, what: str, tokens: Mapping[str, str]) -> list[str]:
    """Return the tokens in a prompt, each of a class."""
    literal: list[str] = TOKEN.findall(prompt)
    if unknown := [token for token in literal if token not in tokens]:
        raise InputError(f"the {what} {prompt!r} has the token {unknown[0]}{known_names(unknown[0], tokens)}")
    return literal


PRESETS: Mapping[str, AugmentOptions] = {
    "spurgekit": AugmentOptions(),
    "published": AugmentOptions(
        images=50,
        steps=50,
        scheduler="pndm",
        size_px=512,
        prompts=(f"a photo of a {CONCEPT}",),
        dilate_px=None,
        inversion=InversionOptions.of("published"),
    ),
}
"""``published`` is the setting of DA-Fusion's spurge experiment (Trabucco et al. 2024), and of Real Guidance as it is compared
with there."""
