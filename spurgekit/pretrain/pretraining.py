"""Training a diffusion backbone of a survey's own, and judging it by itself."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spurgekit.checkpoint import hash_of
from spurgekit.errors import InputError
from spurgekit.image_names import ImageName, image_name
from spurgekit.outputs import check_resumable, fingerprint, output_file, resumable_folder
from spurgekit.pretrain.pretrain_options import OF_LORA, PretrainOptions
from spurgekit.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn

    from spurgekit.diffusion.checkpoint_options import CheckpointOptions
    from spurgekit.diffusion.latent_model import Backbone
    from spurgekit.diffusion.pretraining.crop_pool import CropPool
    from spurgekit.diffusion.pretraining.ground_words import GroundWords
    from spurgekit.diffusion.pretraining.new_model import GivenParts
    from spurgekit.diffusion.pretraining.pretraining import Pretraining
    from spurgekit.pretrain.backbone_card import PretrainedInfo
    from spurgekit.pretrain.ground_sources import SurveyGround

PASSES = 3
"""Times that a step of training takes as long as a pass through the UNet."""

LAST = 100
"""Steps whose mean loss is said."""

EXAMPLES = 4
"""Prompts on the card."""

LOSSES, WORDS = "losses.parquet", "words.json"


@dataclass(frozen=True, slots=True)
class PretrainingPlan:
    """What is known before the first step.

    Attributes
    ----------
    training_tiles, held_out_tiles : int
        Whole tiles side by side.
    crops : int
        That are drawn, at any offset.
    size_px : int
        Side that the model sees a tile at.
    parameters : int
        Numbers that are trained.
    steps, done : int
        Of the training, and how many of them an interrupted run has done.
    step_s, look_s : float
        Seconds that a step takes here and now, and about what it takes to look at the model.
    looks : int
        Times that the model is looked at in the whole training; that which a LoRA is of ahead of it, too.
    device : str
    """

    training_tiles: int
    held_out_tiles: int
    crops: int
    size_px: int
    parameters: int
    steps: int
    done: int
    step_s: float
    look_s: float
    looks: int
    device: str

    @property
    def seconds(self) -> float:
        """About how long what is left takes."""
        share = 1 - self.done / self.steps
        return share * (self.steps * self.step_s + self.looks * self.look_s)


def pretrain_backbone(
    sources: ImageName | str | Sequence[ImageName | str],
    out: str | Path,
    options: PretrainOptions,
    *,
    overwrite: bool = False,
    announce: Callable[[PretrainingPlan], None] = lambda _: None,
    report: Callable[[dict[str, Any]], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> PretrainedInfo:
    """Train a small text-conditional latent diffusion model, or a LoRA of one, on a survey's own ground, without labels.

    Parameters
    ----------
    sources : path, or sequence of paths
        Orthomosaics, of which crops are taken at every offset; or folders of tiles, datasets, folders of images.
    out : str or pathlib.Path
        Folder to make: a checkpoint in diffusers' layout or ``pytorch_lora_weights.safetensors``, ``backbone.json``,
        ``losses.parquet``, ``sheet.png``, ``nearest.png``, ``validation/`` and ``README.md``. One whose making was interrupted
        is gone on with.
    options : PretrainOptions
    overwrite : bool
        Replace a folder that spurgekit made before.
    announce : callable
        Told once, before the first step, what is learned from and how long a step takes.
    report : callable
        Told what was found whenever the model was looked at.
    warn : callable
        Told what a user should know.
    progress : Progress

    Returns
    -------
    PretrainedInfo

    Raises
    ------
    InputError
        If there is too little ground, or it is of mixed kinds.
    ModelError
        If VAE or tokenizer are missing or do not fit, or the loss is not finite.
    OutputExistsError
        If the folder is there already, or was begun with other settings.

    Examples
    --------
    >>> pretrain_backbone("site.tif", "backbone", PretrainOptions(vae="taesd", tokenizer="clip"))  # doctest: +SKIP
    """
    from spurgekit.devices import choose_device
    from spurgekit.diffusion.compiling import check_compiles
    from spurgekit.diffusion.pretraining.new_model import load_parts, size_of
    from spurgekit.diffusion.pretraining.pretraining import CHECKPOINT, cpu_threads
    from spurgekit.pretrain.ground_sources import gather_ground
    from spurgekit.pretrain.judge import can_judge

    paths = [image_name(one) for one in ([sources] if isinstance(sources, (str, Path)) else sources)]
    device = choose_device(options.device)
    if options.compile:
        check_compiles(device)
    kind: Literal["backbone", "lora"]
    begin: Callable[[int], _Begun]
    if (checkpoint := options.checkpoint) is None:
        parts = load_parts(options.vae, options.tokenizer, options.text_encoder)
        kind, begin, told = "backbone", partial(_begin_new, parts, options, device), {}
    else:
        model = checkpoint.look_up()
        kind, begin, told = "lora", partial(_begin_lora, checkpoint.at_commit(model), options), {"model": asdict(model)}
    ground = gather_ground(paths, options, progress)
    if checkpoint is None:
        size_of(options, ground.tile_px)
    for note in (*ground.notes, *filter(None, [can_judge(options) if ground.held_out else None])):
        warn(note)
    with cpu_threads(options.threads) as threads:
        settings = {**_settings(ground, options, str(device), threads), **told}
        inputs = [*paths, *filter(None, [options.without])]
        check_resumable(out, kind, settings, inputs=inputs, overwrite=overwrite)
        begun = begin(ground.tile_px)
        with resumable_folder(out, kind, settings, inputs=inputs, overwrite=overwrite, scratch=[CHECKPOINT]) as folder:
            made = _Making(folder, ground, options, hash_of(json.dumps(settings, sort_keys=True, default=str)), warn, progress)
            return made.make(begun, announce, report)


class _Making:
    """A backbone in the making, in the folder where it is made."""

    def __init__(
        self,
        folder: Path,
        ground: SurveyGround,
        options: PretrainOptions,
        settings: str,
        warn: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self.folder = folder
        self.ground = ground
        self.options = options
        self.settings = settings
        self.warn = warn
        self.progress = progress

    def make(
        self,
        begun: _Begun,
        announce: Callable[[PretrainingPlan], None],
        report: Callable[[dict[str, Any]], None],
    ) -> PretrainedInfo:
        """Train, judge and write what the folder is to hold."""
        from spurgekit.diffusion.pretraining.crop_draws import sample_prompts
        from spurgekit.diffusion.pretraining.crop_pool import FOLDER, CropPool, unit_latents
        from spurgekit.diffusion.pretraining.lora_layers import save_lora
        from spurgekit.diffusion.pretraining.new_model import save_pipeline
        from spurgekit.diffusion.pretraining.pretraining import Pretraining
        from spurgekit.precision import pick_precision
        from spurgekit.pretrain.backbone_card import PretrainedInfo, write_info
        from spurgekit.pretrain.looking import Looking

        options, ground = self.options, self.ground
        backbone, device = begun.backbone, begun.backbone.device
        size_px = backbone.info.size_px
        dtype = pick_precision(device, options.precision)
        pool = CropPool(
            self.folder,
            ground.training,
            options.views,
            crop_px=ground.tile_px,
            size_px=size_px,
            count=options.crops,
            seed=options.seed,
        )
        pool.fill(backbone, dtype, self.progress)
        if not options.lora:
            unit_latents(backbone, pool)
        words = self._words(pool)
        training = Pretraining(backbone, pool, words, options, trains_text=begun.trains_text, parameters=begun.parameters)
        prompts = sample_prompts(pool, words, options.samples, options.seed)
        looking = Looking(self.folder, backbone, ground, options, prompts, dtype, report, self.progress)
        history = training.resume(self.folder, {"settings": self.settings})
        step_s = training.seconds_each()
        self._advise(training, step_s)
        plan = PretrainingPlan(
            training_tiles=ground.training_tiles,
            held_out_tiles=ground.held_out_tiles,
            crops=len(pool),
            size_px=size_px,
            parameters=training.size,
            steps=options.steps,
            done=history.step,
            step_s=step_s,
            look_s=options.samples / options.batch * looking.passes * step_s / PASSES,
            looks=options.lora + (-(-options.steps // options.validate_every) if options.validate_every else 1),
            device=str(device),
        )
        announce(plan)
        if options.lora and not history.step:  # what the model does without it
            history.judged.append(looking(backbone, 0))
        history = training.run(self.folder, history, {"settings": self.settings}, looking, progress=self.progress)
        (save_lora if options.lora else save_pipeline)(backbone, self.folder)
        _write_losses(history.losses.numpy(), self.folder / LOSSES)
        looking.finish()
        info = PretrainedInfo(
            sources=tuple(source.name for source in ground.inputs),
            tile_px=ground.tile_px,
            size_px=size_px,
            training_tiles=ground.training_tiles,
            held_out_tiles=ground.held_out_tiles,
            crops=plan.crops,
            steps=history.step,
            parameters=training.size,
            loss=float(history.losses[-LAST:].mean()),
            judged_by=looking.judged_by,
            references=looking.references(),
            judged=history.judged,
            prompts=tuple(dict.fromkeys(prompts))[:EXAMPLES],
            options=_plain(options),
            licence=options.licence,
            lora_of=options.backbone,
        )
        write_info(self.folder, info)
        del pool, training
        shutil.rmtree(self.folder / FOLDER)
        return info

    def _words(self, pool: CropPool) -> GroundWords:
        """Return the words of the ground, learned once."""
        from spurgekit.diffusion.pretraining.ground_words import GroundWords

        file = self.folder / WORDS
        if not file.is_file():
            learned = GroundWords.learn(pool.colours, self.options.kinds, self.options.seed)
            with output_file(file) as partial:
                partial.write_text(json.dumps(learned.record(), indent=2) + "\n", encoding="utf-8", newline="\n")
        return GroundWords.of_record(json.loads(file.read_text(encoding="utf-8")))

    def _advise(self, training: Pretraining, step_s: float) -> None:
        """Say so where one thread of the CPU is faster than several, as it is beside other work."""
        import torch

        from spurgekit.diffusion.pretraining.pretraining import cpu_threads

        threads = torch.get_num_threads()
        if training.backbone.device.type != "cpu" or threads == 1:
            return
        with cpu_threads(1):
            alone_s = training.seconds_each()
        if alone_s < step_s:
            self.warn(
                f"a step takes {step_s:.2g} s by {threads} threads and {alone_s:.2g} s by one, as other work keeps the cores "
                "busy: pass `threads=1`"
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Begun:
    """A model ahead of its training.

    Attributes
    ----------
    backbone : Backbone
    trains_text : bool
        Whether a text encoder learns, too.
    parameters : list of nn.Parameter or None
        Those that are trained; None: all.
    """

    backbone: Backbone
    trains_text: bool = False
    parameters: list[nn.Parameter] | None = None


def _begin_new(parts: GivenParts, options: PretrainOptions, device: torch.device, tile_px: int) -> _Begun:
    """Return a model of random weights."""
    from spurgekit.diffusion.pretraining.new_model import new_backbone, size_of

    return _Begun(new_backbone(parts, options, size_of(options, tile_px), device), parts.text_encoder is None)


def _begin_lora(checkpoint: CheckpointOptions, options: PretrainOptions, tile_px: int) -> _Begun:  # noqa: ARG001
    """Return a model that is there, with layers of low rank to be trained.

    Raises
    ------
    InputError
        If its UNet cannot halve the size as often as it does.
    """
    from spurgekit.diffusion.pretraining.lora_layers import add_lora

    backbone = checkpoint.load()
    size_px = options.size_px or backbone.info.size_px
    multiple = backbone.latent_px * 2 ** (len(backbone.unet.config.block_out_channels) - 1)
    if size_px % multiple:
        raise InputError(f"`size_px={size_px}` does not fit the model; pass a multiple of {multiple}")
    backbone.info = replace(backbone.info, size_px=size_px)
    return _Begun(backbone, parameters=add_lora(backbone, options.lora_rank, options.seed))


def _settings(ground: SurveyGround, options: PretrainOptions, device: str, threads: int) -> dict[str, Any]:
    """Return what the folder's content depends on, but for how many steps there are: a run of fewer is the beginning of it."""
    left_out = {"steps", "minutes"} if options.lora else {"steps", "minutes", "lora", *OF_LORA}
    chosen = {name: value for name, value in options.parameters().items() if name not in left_out}
    return {
        **chosen,
        "device": device,
        "threads": threads,
        "sources": {str(source): fingerprint(source) for source in ground.inputs},
        "without": options.without and fingerprint(options.without),
        "training": hash_of(json.dumps([piece.id for piece in ground.training])),
        "held out": hash_of(json.dumps([piece.id for piece in ground.held_out])),
    }


def _plain(options: PretrainOptions) -> dict[str, Any]:
    """Return options as JSON has them: paths as texts, and infinity, which JSON has not."""
    values = json.loads(json.dumps(options.parameters(), default=str))
    return {name: str(value) if value == math.inf else value for name, value in values.items()}


def _write_losses(losses: NDArray[np.float32], path: Path) -> None:
    """Write the loss of each step."""
    import numpy as np
    import pandas as pd

    with output_file(path) as file:
        pd.DataFrame({"step": np.arange(1, len(losses) + 1), "loss": losses}).to_parquet(file, index=False)
