"""What judges a backbone: tiles that it paints, beside held-out real ones, in the features of a network of timm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from spurgekit.classify.offline_weights import OFFLINE_BACKBONE, has_offline_weights, offline_hint
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.diffusion.image_tensors import Picture
from spurgekit.dihedral import VIEWS, view_of
from spurgekit.errors import ModelError
from spurgekit.precision import autocast, put_on
from spurgekit.pretrain.fidelity import Copies, Features, find_copies, kernel_distance, precision_recall
from spurgekit.pretrain.pretrain_options import PretrainOptions
from spurgekit.progress import Progress, silent
from spurgekit.seeds import seed_of

AT_ONCE = 32

MOST_TRAINING = 2048
MOST_HELD_OUT = 1024
"""Real tiles that painted ones are compared with, drawn from all."""


class FeatureSpace:
    """Features of tiles, by a network of timm that is never trained here.

    Parameters
    ----------
    options : PretrainOptions
    device : torch.device

    Attributes
    ----------
    name : str
        timm's, of the network.

    Raises
    ------
    ModelError
        If its weights cannot be had.
    """

    def __init__(self, options: PretrainOptions, device: torch.device) -> None:
        self.name = options.judge_backbone or OFFLINE_BACKBONE
        network = make_backbone(self.name, pretrained=options.judge_weights is None, weights=options.judge_weights)
        config: Mapping[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
        size_px = int((config.get("input_size") or (3, 224, 224))[-1])
        self._preprocess = Preprocess(size_px, tuple(config["mean"]), tuple(config["std"]), device)
        self._network: nn.Module = put_on(network, device)
        self._dtype: torch.dtype | None = None  # features of float32, so that distances are the same wherever they are taken

    def __call__(self, pictures: Sequence[Picture], progress: Progress = silent) -> Features:
        """Return features of pictures, ndarray of float32, shape (n, d)."""
        return self.views(pictures, progress, views=(0,))[:, 0]

    @torch.inference_mode()
    def views(
        self, pictures: Sequence[Picture], progress: Progress = silent, *, views: Sequence[int] = range(VIEWS)
    ) -> Features:
        """Return features of pictures turned and mirrored, ndarray of float32, shape (n, views, d)."""
        found = []
        with progress("describing tiles", len(pictures)) as advance:
            for start in range(0, len(pictures), AT_ONCE):
                part = np.ascontiguousarray(np.stack(pictures[start : start + AT_ONCE]).transpose(0, 3, 1, 2))
                images = self._preprocess(part)
                with autocast(self._preprocess.device, self._dtype):
                    features = torch.stack([self._network(view_of(images, view)) for view in views], dim=1)
                found.append(features.float().cpu().numpy())
                advance(len(part))
        return np.concatenate(found)


def can_judge(options: PretrainOptions) -> str | None:
    """Return why nothing judges a model, and what to do; None where something does."""
    if options.judge_backbone is not None or has_offline_weights():
        return None
    return f"nothing judges the model: pass a model of timm as `judge_backbone`; {offline_hint()}"


@dataclass(frozen=True, slots=True)
class Judged:
    """How far some tiles are from held-out real ones; KID is multiplied by 1000, as papers have it.

    Attributes
    ----------
    kid, kid_low, kid_high : float
    precision, recall : float
    """

    kid: float
    kid_low: float
    kid_high: float
    precision: float
    recall: float


class Judge:
    """Compares painted tiles with held-out real ones.

    Parameters
    ----------
    space : FeatureSpace
    held_out, training : sequence of ndarray of uint8, shape (side, side, 3)
        Real tiles, in the order of their places.
    round_trip : sequence of ndarray
        The held-out ones through the VAE and back.
    progress : Progress
    """

    def __init__(
        self,
        space: FeatureSpace,
        held_out: Sequence[Picture],
        training: Sequence[Picture],
        round_trip: Sequence[Picture],
        progress: Progress = silent,
    ) -> None:
        self.space = space
        self.training = training
        self._turned = space.views(held_out, progress)
        self._real = self._turned[:, 0]
        self._learned = space(training, progress)
        self._trip = space(round_trip, progress)

    def references(self) -> dict[str, Judged]:
        """Return how far from held-out tiles those are that painted ones should be like: training tiles, round trips."""
        return {
            "training tiles": self._judged(self._learned),
            "held-out tiles through the VAE": self._judged(self._trip, paired=True),
        }

    def __call__(self, painted: Sequence[Picture]) -> tuple[Judged, Copies]:
        """Return how far painted tiles are from held-out ones, and whether they are copies."""
        turned = self.space.views(painted)
        if not np.isfinite(turned).all():
            raise ModelError("painted tiles have features that are not finite; pass another `judge_backbone`")
        return self._judged(turned[:, 0]), find_copies(self._learned, self._turned, turned)

    def _judged(self, features: Features, *, paired: bool = False) -> Judged:
        kid = kernel_distance(features, self._real, paired=paired)
        precision, recall = precision_recall(self._real, features)
        return Judged(1000 * kid.value, 1000 * kid.low, 1000 * kid.high, precision, recall)


def chosen(pictures: Sequence[Picture], most: int, seed: int, what: str) -> list[Picture]:
    """Return some of many pictures, in their order, by a seed."""
    if len(pictures) <= most:
        return list(pictures)
    generator = np.random.default_rng(seed_of(seed, "chosen", what))
    return [pictures[row] for row in np.sort(generator.choice(len(pictures), most, replace=False))]


def record_of(judged: Judged, copies: Copies) -> dict[str, Any]:
    """Return figures as JSON has them."""
    return {**asdict(judged), "copies": {"share": copies.share, "painted": copies.painted, "held_out": copies.held_out}}
