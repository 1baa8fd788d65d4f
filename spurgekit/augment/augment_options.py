"""How synthetic tiles are made: methods, presets, and prompts for classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from spurgekit.augment.manifest import GAMMA
from spurgekit.augment.strengths import PUBLISHED, StrengthSchedule, parse_strengths
from spurgekit.diffusion.concepts import TOKEN, token_of
from spurgekit.diffusion.render import Mode, RenderOptions
from spurgekit.diffusion.schedulers import check_scheduler
from spurgekit.errors import InputError, known_names

Method = Literal["da-fusion", "real-guidance", "text-to-image", "roundtrip"]

METHODS: Mapping[Method, str] = {
    "da-fusion": "edits of real tiles (SDEdit) by a word that was learned for each class (Trabucco et al. 2024)",
    "real-guidance": "the same edits by the plain names of the classes (He et al. 2023)",
    "text-to-image": "images from the prompt alone",
    "roundtrip": "a control: real tiles through the model's encoder and decoder, and nothing else",
}

MODES: Mapping[Method, Mode] = {
    "da-fusion": "edit", "real-guidance": "edit", "text-to-image": "text", "roundtrip": "roundtrip",
}  # fmt: skip

CONCEPT, CLASS = "{concept}", "{class}"
"""What stands in a prompt for the class: its token (its name where nothing was learned), and always its name."""


@dataclass(frozen=True, slots=True)
class AugmentOptions:
    """How synthetic tiles are made.

    Attributes
    ----------
    method : {"da-fusion", "real-guidance", "text-to-image", "roundtrip"}
        See :data:`METHODS`.
    images : int
        Synthetic tiles for each real one (M of the paper); a round trip gives one, whatever is asked for.
    strengths : StrengthSchedule
        Of edits.
    steps : int
        Of the scheduler over the whole of its noise; an edit takes ``int(steps * strength)`` of them.
    guidance : float
        Weight of the prompt (classifier-free guidance).
    scheduler : str
        See :data:`spurgekit.diffusion.schedulers.SCHEDULERS`.
    size_px : int, optional
        Side at which the model works; by default the one that it was trained at.
    prompts : tuple of str
        Taken in turn, from one that the seed fixes. ``{concept}`` stands for the class's token, or its name where nothing was
        learned, ``{class}`` for its name. A prompt that names a token itself is for the class of the first such token.
    negative : str
        What is not wanted.
    concept_scale : float
        Multiplies the vectors of what was learned.
    concept_noise : float
        Standard deviation of noise on these vectors, for each image anew.
    cross : float
        Share of edits that start from a tile of another class and get soft labels (Diff-Mix, Wang et al. 2024).
    gamma : float
        How fast these labels go over to the new class; see :func:`spurgekit.augment.manifest.soft_share`.
    drop_duplicates : bool
        Give weight 0 to images that show what an earlier one of their class and support set shows.
    batch_size : int
        Images that are made at once; changes none of them, but for the rounding of sums.
    compile : bool
        Compile the model on GPUs: a minute or two, worth it for thousands of images.
    seed : int
    """

    method: Method = "da-fusion"
    images: int = 10
    strengths: StrengthSchedule = field(default_factory=lambda: parse_strengths(PUBLISHED))
    steps: int = 25
    guidance: float = 7.5
    scheduler: str = "dpm++"
    size_px: int | None = None
    prompts: tuple[str, ...] = ("a drone photo of {concept}",)
    negative: str = ""
    concept_scale: float = 1.0
    concept_noise: float = 0.0
    cross: float = 0.0
    gamma: float = GAMMA
    drop_duplicates: bool = False
    batch_size: int = 16
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"there is no method {self.method!r}{known_names(self.method, METHODS)}")
        check_scheduler(self.scheduler)
        for name in ("images", "steps", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name.replace('_', ' ')} {getattr(self, name)} is too small; pass 1 or more")
        if not self.guidance >= 0 or not self.concept_noise >= 0 or not self.gamma > 0:
            raise InputError("guidance, noise on the concept and gamma cannot be below 0")
        if not 0 <= self.cross <= 1:
            raise InputError(f"--cross {self.cross:g} is not a share; pass a number from 0 to 1")
        if self.cross and self.mode != "edit":
            raise InputError(f"--cross edits real tiles, which {self.method} does not; leave it out")
        if self.size_px is not None and (self.size_px < 64 or self.size_px % 64):
            raise InputError(f"the model cannot work at {self.size_px} px; pass a multiple of 64")
        if not self.prompts:
            raise InputError("pass at least one --prompt")
        if self.method == "real-guidance" and self.learns:
            raise InputError(f"real-guidance learns no tokens; write {CLASS} in the prompt, or pass --method da-fusion")

    @property
    def mode(self) -> Mode:
        """What is done to a tile."""
        return MODES[self.method]

    @property
    def learns(self) -> bool:
        """Whether the model must have learned the classes: for DA-Fusion, and for prompts that name their tokens."""
        prompts = (*self.prompts, self.negative)
        return self.method == "da-fusion" or (self.mode != "roundtrip" and any(TOKEN.search(prompt) for prompt in prompts))

    @property
    def render(self) -> RenderOptions:
        """What the renderer is told."""
        return RenderOptions(
            steps=self.steps, guidance=self.guidance, scheduler=self.scheduler, size_px=self.size_px, compile=self.compile
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
            literal = TOKEN.findall(prompt)
            if unknown := [token for token in literal if token not in tokens]:
                raise InputError(f"the prompt {prompt!r} has the token {unknown[0]}{known_names(unknown[0], tokens)}")
            if literal and tokens[literal[0]] != name:
                continue
            found.append(self._filled(prompt, name))
        if not found:
            raise InputError(f"no prompt is for {name!r}; add one with {CONCEPT} or {token_of(name)}")
        return found

    def _filled(self, prompt: str, name: str) -> str:
        return prompt.replace(CONCEPT, token_of(name) if self.learns else name).replace(CLASS, name)


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "spurgekit": {},
    "published": {
        "images": 50, "steps": 50, "scheduler": "pndm", "size_px": 512, "prompts": (f"a photo of a {CONCEPT}",),
    },
}  # fmt: skip
"""What options are unless they are given. ``published`` is the setting of DA-Fusion's spurge experiment (Trabucco et al. 2024),
and of Real Guidance as it is compared with there."""

REAL_GUIDANCE_STRENGTH = "0.5"


def augment_options(method: Method = "da-fusion", preset: str = "spurgekit", **given: Any) -> AugmentOptions:
    """Return options: a preset's, but for those that are given and not None.

    Raises
    ------
    InputError
        If there is no such preset, or options do not fit.
    """
    if preset not in PRESETS:
        raise InputError(f"there is no preset {preset!r}{known_names(preset, PRESETS)}")
    chosen = {**PRESETS[preset], **{name: value for name, value in given.items() if value is not None}}
    if method == "real-guidance":
        chosen.setdefault("strengths", parse_strengths(REAL_GUIDANCE_STRENGTH))
    return replace(AugmentOptions(), method=method, **chosen)
