"""Teaching a diffusion model the classes of a dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from spurgekit.augment.embeddings import EmbeddingsInfo, learn_embeddings, plan_inversions
from spurgekit.augment.invert_options import InvertOptions
from spurgekit.augment.support_sets import choose_sets
from spurgekit.dataset import open_dataset
from spurgekit.outputs import check_output
from spurgekit.progress import Progress, silent

if TYPE_CHECKING:
    from spurgekit.diffusion.latent_model import BackboneInfo


@dataclass(frozen=True, slots=True)
class InversionPlan:
    """What is known before the first word is learned.

    Attributes
    ----------
    words : int
    sets : int
        Support sets that they are learned from.
    backbone : BackboneInfo
    device : str
    """

    words: int
    sets: int
    backbone: BackboneInfo
    device: str


def invert_classes(
    dataset: str | Path,
    out: str | Path,
    options: InvertOptions | None = None,
    *,
    overwrite: bool = False,
    announce: Callable[[InversionPlan], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> EmbeddingsInfo:
    """Teach a diffusion model a word for each class of a dataset, absence included, by textual inversion.

    Words of all classes and support sets are learned side by side, and nothing of the model but their vectors is changed.

    Parameters
    ----------
    dataset : str or pathlib.Path
        Folder of a dataset.
    out : str or pathlib.Path
        Folder to make; one whose making was interrupted is gone on with. See
        :func:`spurgekit.augment.embeddings.learn_embeddings`.
    options : InvertOptions, optional
    overwrite : bool
        Replace a folder that spurgekit made before.
    announce : callable
        Told once, before the first step, what is learned.
    warn : callable
        Told what a user should know while the run goes on.
    progress : Progress

    Returns
    -------
    EmbeddingsInfo

    Raises
    ------
    InputError
        If the dataset lacks what is asked for, or options do not fit.
    ModelError
        If the diffusion model cannot be had or does not fit, or memory does not suffice.
    OutputExistsError
        If the folder is there already, or was begun with other settings.

    Examples
    --------
    >>> invert_classes("dataset", "embeddings", InvertOptions(shots=(4,), trials=1)).words  # doctest: +SKIP
    """
    from spurgekit.diffusion.textual_inversion.frozen_model import learning_precision
    from spurgekit.diffusion.textual_inversion.inversion import check_inversion

    options, out = options or InvertOptions(), Path(out)
    opened = open_dataset(dataset)
    sets = choose_sets(opened, options.shots, options.trials, options)
    planned = plan_inversions(opened, sets, options)
    check_output(out, "embeddings", overwrite=overwrite)
    backbone = replace(options, precision=learning_precision(options.device, options.precision)).load()
    check_inversion(backbone, [one.task for one in planned], options)
    announce(InversionPlan(len(planned), len(sets), backbone.info, str(backbone.device)))
    return learn_embeddings(opened, sets, backbone, options.inversion, out, overwrite=overwrite, warn=warn, progress=progress)
