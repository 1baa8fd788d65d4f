"""The recipes ``lora`` and ``finetune``: one training loop, the same number of steps for every arm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from spurgekit.checkpoint import Fingerprints, hash_of
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.training.adapters import adapted
from spurgekit.classify.training.batch_order import FinetuneTiles, read_pixels
from spurgekit.classify.training.finetune_options import FinetuneOptions, FinetuneReport
from spurgekit.classify.training.network import Network
from spurgekit.classify.training.training_checkpoint import (
    TrainingState,
    hash_of_network,
    hash_of_tiles,
    load_training,
    save_training,
)
from spurgekit.classify.training.training_loop import TrainingLoop
from spurgekit.errors import InputError, LeakageError
from spurgekit.precision import pick_precision, precision_name, put_on
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of

__all__ = ["FinetuneOptions", "FinetuneReport", "FinetuneTiles", "finetune", "read_pixels"]

FEWEST_SHOTS = 5
"""Of fewer tiles a class, none can be spared to stop by, and what is stopped by them is noise."""

CHECKPOINT_STEPS = 50


def finetune(
    network: Network,
    preprocess: Preprocess,
    tiles: FinetuneTiles,
    options: FinetuneOptions,
    *,
    validation: FinetuneTiles | None = None,
    checkpoint: Path | None = None,
    checkpoint_steps: int = CHECKPOINT_STEPS,
    progress: Progress = silent,
) -> FinetuneReport:
    """Train a network on tiles, in place.

    Classes take turns in the batches (see :class:`~spurgekit.classify.training.batch_order.BatchOrder`), so the network learns
    that they are equally common: the report's ``prior`` says so. The running statistics of batch normalisation stay as they
    are: those of few tiles, drawn again and again and mixed, are not those of the ground to be mapped. On a CPU the same input
    gives the same bytes, with a checkpoint in between or without one.

    Parameters
    ----------
    network : Network
        With a classifier for the classes, from whose weights the training starts. Afterwards a plain timm network in
        evaluation mode; after an error it is of no more use.
    preprocess : Preprocess
        Its device is trained on.
    tiles : FinetuneTiles
    options : FinetuneOptions
    validation : FinetuneTiles, optional
        Of other places than ``tiles``, and none that the model is tested on.
    checkpoint : pathlib.Path, optional
        A safetensors file to go on from where it is there, written every ``checkpoint_steps`` steps and at the end.
    progress : Progress
        Told of each step.

    Returns
    -------
    FinetuneReport

    Raises
    ------
    InputError
        If a class has no tile, or tiles, classes and network do not go together.
    LeakageError
        If a validation tile is a training tile as well.
    ModelError
        If the loss is no number, nothing can be adapted, or the checkpoint is damaged or of another training.
    """
    _check(network, tiles, validation, options)
    device = preprocess.device
    dtype = pick_precision(device, options.precision)
    stops, notes = _stops_early(options, tiles, validation)
    validation = validation if stops else None
    put_on(network, device)
    made_from: Fingerprints = {}
    if checkpoint is not None:
        made_from = _made_from(network, preprocess, tiles, validation, options, dtype)
    with _learning(network, options) as learning:
        loop = TrainingLoop(network, preprocess, tiles, options, dtype, learning)
        state = TrainingState()
        if checkpoint is not None and checkpoint.exists():
            state = load_training(checkpoint, made_from, learning, loop.optimiser)

        def keep() -> None:
            if checkpoint is not None:
                save_training(checkpoint, made_from, state, learning, loop.optimiser)

        with progress("training", options.steps) as advance:
            advance(state.step)
            for loss in loop.run(state.step, stopped=state.stopped):
                state.step += 1
                state.losses.append(loss)
                if validation is not None and (state.step % loop.check_steps == 0 or state.step == options.steps):
                    loop.check(state, validation)
                if state.stopped or state.step == options.steps or state.step % checkpoint_steps == 0:
                    keep()
                advance(1)
                if state.stopped:
                    break
        with torch.no_grad():
            for name, value in state.best.items():
                learning[name].copy_(value)
        learned = sum(parameter.numel() for parameter in learning.values())
    network.eval()
    return FinetuneReport(
        steps=state.step,
        best_step=state.best_step,
        losses=tuple(state.losses),
        validation=tuple(state.checks),
        prior=tuple(loop.draws.prior.tolist()),
        precision=precision_name(dtype),
        learned=learned,
        notes=notes,
    )


@contextmanager
def _learning(network: Network, options: FinetuneOptions) -> Iterator[dict[str, nn.Parameter]]:
    """Yield what learns by a recipe, by name; afterwards the network is plain again."""
    if options.learning == "all":
        network.requires_grad_(True)
        yield dict(network.named_parameters())
        return
    seed = seed_of(options.seed, "adapters")
    with adapted(network, rank=options.rank, alpha=options.alpha, dropout=options.dropout, seed=seed):
        yield {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def _check(network: Network, tiles: FinetuneTiles, validation: FinetuneTiles | None, options: FinetuneOptions) -> None:
    """Raise an error if these do not go together."""
    classes = network.classifier.out_features
    for name, given in (("training", tiles), ("validation", validation)):
        if given is not None and given.classes != classes:
            raise InputError(f"the {name} tiles are of {given.classes} classes, and the network tells {classes} apart")
    first = torch.from_numpy(tiles.pixels[np.array([0])])
    options.augment.check(first.shape[1], first.dtype)
    if validation is not None and (shared := sorted(set(tiles.tile_ids) & set(validation.tile_ids))):
        raise LeakageError(f"tile {shared[0]} is in both the training and the validation tiles; hold out other places")


def _stops_early(
    options: FinetuneOptions, tiles: FinetuneTiles, validation: FinetuneTiles | None
) -> tuple[bool, tuple[str, ...]]:
    """Return whether to stop early, and what to say where that was asked for and is not done."""
    if not options.early_stopping or validation is None:
        return False, ()
    if tiles.shots < FEWEST_SHOTS:
        return False, (f"early stopping is off: a class has {tiles.shots} tiles, and it wants {FEWEST_SHOTS} or more",)
    if not (validation.weights * ~validation.synthetic).any():
        return False, ("early stopping is off: no validation tile is real and has a weight",)
    return True, ()


def _made_from(
    network: Network,
    preprocess: Preprocess,
    tiles: FinetuneTiles,
    validation: FinetuneTiles | None,
    options: FinetuneOptions,
    dtype: torch.dtype | None,
) -> Fingerprints:
    """Return what a training is made from."""
    told = replace(options, precision=precision_name(dtype), early_stopping=validation is not None)
    tile = tiles.pixels[np.array([0])]
    ramp = (np.arange(tile.size) % 255 + 1).reshape(tile.shape).astype(tile.dtype)
    with torch.inference_mode():
        sample = preprocess(ramp).cpu().double()
    return {
        "options": hash_of(repr(told)),
        "tiles": hash_of_tiles(tiles),
        "validation tiles": "" if validation is None else hash_of_tiles(validation),
        "weights": hash_of_network(network),
        "normalisation": hash_of(f"{sample.shape} {sample.mean():.6g} {sample.std():.6g}"),
    }
