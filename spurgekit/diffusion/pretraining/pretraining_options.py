"""How a diffusion model is trained from nothing on a survey's own tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from spurgekit.diffusion.pretraining.unet_sizes import UNET_SIZES
from spurgekit.diffusion.textual_inversion.inversion_options import VIEWS_OF, SampleViews
from spurgekit.errors import InputError
from spurgekit.options import Options
from spurgekit.precision import Precision


@dataclass(frozen=True, kw_only=True)
class PretrainingOptions(Options):
    """How a diffusion model is trained from nothing on a survey's own tiles.

    Attributes
    ----------
    steps : int
        Updates of the model. A run that was stopped can be gone on with for more, or ended with those that it has done.
    minutes : float, optional
        Of training, from when crops are encoded, after which the run ends as if those were its steps. Default: no limit.
    batch : int
        Crops in a step.
    crops : int
        Crops that are drawn, at any offset and in any view, and encoded once; steps draw from them.
    size_px : int, optional
        Side that crops are shown to the model at. Default: the tile's, rounded up to a multiple of 32, and at least 128.
    unet : str
        How large the model is: small (11 M parameters), medium (21 M), large (34 M).
    prediction_type : {"v_prediction", "epsilon"}
        Whether the model tells the velocity, or the noise.

        See :mod:`spurgekit.diffusion.pretraining.noise_weights`.
    snr_gamma : float
        Ratio of signal to noise above which noise levels weigh less (min-SNR, 5 in its paper); inf: all weigh the same.

        A small model that is trained for hours, not weeks, hears prompts at high noise, which min-SNR gives next to no weight.
    learning_rate : float
        Learning rate, constant after the warm-up.
    warmup_steps : int
        Steps in which the learning rate rises from 0.
    ema_width : float
        Width of the mean of past weights that is kept as the model, as a share of the training.

        See :class:`spurgekit.diffusion.pretraining.weight_average.PowerAverage`.
    prompt_dropout : float
        Share of crops that are shown without their prompt, for guidance without a classifier.
    augmentation : {"none", "hflip", "dihedral"}
        Views that crops are drawn in: as they are, mirrored left to right, all 8.
    kinds : int
        Kinds of ground that prompts name, told apart by colour and texture.
    precision : {"auto", "float32", "bfloat16"}
        auto: bfloat16 where the hardware multiplies it.
    compile : bool
        Have torch compile the UNet: a minute more at the start, and a quarter less for each step.

        On a CPU it takes a C++ compiler. Sums depend on it in their last bits, so a run is gone on with as it was begun.
    threads : int, optional
        Threads of the CPU. Default: one for each core that is free to this process.

        Sums depend on it in their last bits, so a run is gone on with by as many.
    device : str
        cpu, cuda, cuda:1, ...; auto is a GPU where there is one.
    validate_every : int
        Steps between sheets of samples, and looks at how far they are from held-out tiles; 0 for the end alone.
    save_every : int
        Steps between checkpoints that an interrupted run goes on from.
    seed : int
        Of all that is drawn: 0 or more.
    """

    steps: int = 20_000
    minutes: float | None = None
    batch: int = 32
    crops: int = 16_384
    size_px: int | None = None
    unet: Annotated[str, UNET_SIZES] = "small"
    prediction_type: Literal["v_prediction", "epsilon"] = "v_prediction"
    snr_gamma: float = math.inf
    learning_rate: float = 5e-4
    warmup_steps: int = 200
    ema_width: float = 0.1
    prompt_dropout: float = 0.1
    augmentation: SampleViews = "dihedral"
    kinds: int = 8
    precision: Precision = "auto"
    compile: bool = False
    threads: int | None = None
    device: str = "auto"
    validate_every: int = 1000
    save_every: int = 250
    seed: int = 0

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        for name, least in (
            ("steps", 1), ("batch", 1), ("crops", 1), ("size_px", 1), ("warmup_steps", 0), ("kinds", 1), ("threads", 1),
            ("validate_every", 0), ("save_every", 1), ("seed", 0),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"`{name}={value}` is too small; pass {least} or more")
        if self.minutes is not None and not (self.minutes > 0 and math.isfinite(self.minutes)):
            raise InputError(f"`minutes={self.minutes:g}` cannot be; pass a number above 0")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise InputError(f"a learning rate of {self.learning_rate:g} cannot be; pass a number above 0")
        if not self.snr_gamma > 0:
            raise InputError(f"`snr_gamma={self.snr_gamma:g}` cannot be; pass a number above 0, or inf")
        if not 0.01 <= self.ema_width <= 0.25:
            raise InputError(f"`ema_width={self.ema_width:g}` is no share that weights are averaged over; pass 0.01 to 0.25")
        if not 0 <= self.prompt_dropout < 1:
            raise InputError(f"`prompt_dropout={self.prompt_dropout:g}` is no share below 1; pass e.g. 0.1")

    @property
    def views(self) -> tuple[int, ...]:
        """Views that crops are drawn in; see :func:`spurgekit.dihedral.view_of`."""
        return VIEWS_OF[self.augmentation]

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0.

        Examples
        --------
        >>> options = PretrainingOptions(learning_rate=1e-3, warmup_steps=4)
        >>> [options.rate_at(step) for step in (0, 1, 3, 4, 1000)]
        [0.00025, 0.0005, 0.001, 0.001, 0.001]
        """
        return self.learning_rate * min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else self.learning_rate
