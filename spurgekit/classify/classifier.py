"""A model folder: ``model.safetensors``, ``model.json`` and a model card. Never a pickle."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from scipy.special import softmax
from torch import Tensor, nn

from spurgekit.classify.applicability import Applicability, read_applicability
from spurgekit.classify.folding import fold_norms, noise_images
from spurgekit.classify.held_out import HeldOutCounts, HeldOutTiles, counts_of, held_out_as
from spurgekit.classify.model_files import CONFIG, DESCRIPTION, WEIGHTS
from spurgekit.classify.model_info import REMEDY, ModelInfo, Positions, read_model_info
from spurgekit.classify.model_sources import ModelSource, find_model
from spurgekit.classify.position_head import PositionHead
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.prevalence import parse_prevalence, shift_prevalence
from spurgekit.classify.runtime import Runtime, RuntimeTrial
from spurgekit.classify.site_shift import SiteShift
from spurgekit.classify.tile_reader import Pixels
from spurgekit.classify.timm_backbone import make_backbone, misfit, read_weights
from spurgekit.classify.timm_config import timm_config
from spurgekit.classify.training.network import PositionModel, PositionNetwork, Runner, network_of
from spurgekit.devices import choose_device
from spurgekit.dihedral import VIEW_COUNTS
from spurgekit.errors import InputError, ModelError
from spurgekit.outputs import save_tensors
from spurgekit.precision import Precision, PrecisionName, autocast, pick_precision, precision_name, put_on
from spurgekit.text import listed


@dataclass(frozen=True, slots=True)
class TilePredictions:
    """What a model says of tiles.

    Attributes
    ----------
    probabilities : ndarray of float32, shape (n, classes)
    features : ndarray of float32, shape (n, d), or None
        The mean over their views of what the classifier is shown of them; None where they were not asked for.
    dissimilarity : ndarray of float32, shape (n,), or None
        How far they lie from the training tiles (see :mod:`spurgekit.classify.applicability`); with features, of a model that
        knows these.
    around : ndarray of float32, shape (n, classes), or None
        Of cells finer than a tile, the probabilities of the tile around each.
    """

    probabilities: NDArray[np.float32]
    features: NDArray[np.float32] | None = None
    dissimilarity: NDArray[np.float32] | None = None
    around: NDArray[np.float32] | None = None


class TileClassifier:
    """A model ready to look at tiles.

    Attributes
    ----------
    info : ModelInfo
    network : Network
    device : torch.device
    folder : pathlib.Path or None
        Where it was read from.
    prevalence : tuple of float or None
        The share of each class that its probabilities are for; None for that in training.
    held_out_tiles : HeldOutTiles or None
        What it said of held-out tiles, looked at as it looks at tiles now; None where nobody knows.
    shift : SiteShift or None
        How it was moved to a site.
    applicability : Applicability or None
        The training tiles, to tell tiles by that are unlike them; None where they are not known.
    source : ModelSource or None
        Where it was read from, by its name.
    is_folded : bool
        Whether it was made faster by :meth:`fold_norms`.
    runtime : {"torch", "openvino"}
        What runs its backbone; see :meth:`run_by`.
    trial : RuntimeTrial or None
        What chose that, where it was not asked for.
    dtype : torch.dtype or None
        What its backbone counts in, where that is not float32; what is made of features is float32 all the same.
    """

    shift: SiteShift | None = None
    applicability: Applicability | None = None
    source: ModelSource | None = None
    is_folded: bool = False
    runtime: Runtime = "torch"
    trial: RuntimeTrial | None = None
    _runner: Runner | None = None

    def __init__(
        self,
        info: ModelInfo,
        network: nn.Module,
        device: torch.device,
        folder: Path | None = None,
        prevalence: tuple[float, ...] | None = None,
        held_out: HeldOutTiles | None = None,
        precision: Precision = "float32",
    ) -> None:
        self.info = info
        self.dtype = pick_precision(device, precision)
        self.held_out_tiles = held_out
        self.device = device
        self.folder = folder
        self.prevalence = prevalence
        self.network = put_on(network_of(network, unit_features=info.unit_features), device).eval()
        self._preprocess = Preprocess(info.image_size_px, info.mean, info.std, device, info.dtype)

    def fold_norms(self) -> None:
        """Make the network faster that is only looked through from now on; see :mod:`spurgekit.classify.folding`."""
        info, model = self.info, self.network.model
        example = noise_images(1, info.bands, info.image_size_px, info.image_size_px).to(self.device)
        fold_norms(model.backbone if isinstance(model, PositionModel) else model, example)
        self.is_folded = True

    def run_by(self, runtime: Runtime) -> TileClassifier:
        """Return the same model with its backbone run by PyTorch or OpenVINO, which is faster on most CPUs.

        Parameters
        ----------
        runtime : {"torch", "openvino"}

        Raises
        ------
        InputError
            If the model is on a GPU, OpenVINO is not installed, or it does not count on this CPU as the model does.
        ModelError
            If OpenVINO cannot convert the network.
        """
        if runtime == self.runtime:
            return self
        run = copy(self)
        run.runtime, run._runner = runtime, None
        if runtime == "openvino":
            from spurgekit.classify.openvino_runner import OpenVinoRunner

            if self.device.type != "cpu":
                raise InputError(f"`runtime=openvino` is for CPUs, and the model is on {self.device}; pass `device=cpu`")
            info = self.info
            run._runner = OpenVinoRunner(self.network, (info.bands, info.image_size_px, info.image_size_px), self.dtype)
        return run

    @cached_property
    def held_out(self) -> HeldOutCounts:
        """Held-out tiles by place and class; all of one place where nothing is known but the confusion matrix."""
        return counts_of(self.held_out_tiles, self.info)

    @property
    def precision(self) -> PrecisionName:
        """What its backbone counts in."""
        return precision_name(self.dtype)

    def predict(self, tiles: Pixels) -> NDArray[np.float32]:
        """Return class probabilities.

        Parameters
        ----------
        tiles : ndarray, shape (n, bands, height, width)
            Of the model's dtype, at its ground sample distance; pixels without data are marked as
            :mod:`spurgekit.classify.tile_reader` does it.

        Returns
        -------
        ndarray of float32, shape (n, classes)
        """
        return self.predictions(tiles).probabilities

    def predictions(self, tiles: Pixels, *, features: bool = False) -> TilePredictions:
        """Return class probabilities, and if asked for the features that they come from.

        Parameters
        ----------
        tiles : ndarray, shape (n, bands, height, width)
            See :meth:`predict`.
        features : bool
        """
        return self.said(*self.logits(tiles, features=features))

    @torch.inference_mode()
    def logits(self, tiles: Pixels, *, features: bool = False) -> tuple[Tensor, Tensor | None]:
        """Return logits [n, classes] and, if asked for, features [n, d] of tiles, on the device, which is not waited for.

        Parameters
        ----------
        tiles : ndarray, shape (n, bands, height, width)
            See :meth:`predict`; a GPU may read them as long as it is at work.
        features : bool
        """
        with autocast(self.device, self.dtype):
            return self.network.averaged(self._preprocess(tiles), self.info.views, features=features, runner=self._runner)

    def said(self, logits: Tensor, features: Tensor | None = None) -> TilePredictions:
        """Return what logits [n, classes] say of tiles, and what their features [n, d] do, as :meth:`logits` gives them."""
        found = self.probabilities(logits.cpu().numpy())
        if features is None:
            return TilePredictions(found)
        return TilePredictions(found, np.asarray(features.cpu().numpy(), np.float32), self._dissimilarity(features))

    def _dissimilarity(self, features: Tensor | None) -> NDArray[np.float32] | None:
        """Return how unlike training tiles images are, [n], from their features [n, d]; None where nobody knows."""
        if self.applicability is None or features is None:
            return None
        return self.applicability.dissimilarity(np.asarray(features.cpu().numpy(), np.float32))

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return what logits [n, classes] say, at the model's temperature, on its site and for the prevalence asked for."""
        found = np.asarray(softmax(logits / self.info.temperature, axis=1), np.float32)
        if self.shift is not None:
            found = self.shift.apply(found)
        if self.prevalence is not None:
            found = shift_prevalence(found, self.info.prior, self.prevalence).astype(np.float32)
        return found

    def position_logits(self, images: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return what the head says of the positions of images, as each view has it, and how unlike training tiles these are.

        Parameters
        ----------
        images : ndarray, shape (n, bands, side, side)
            Tiles, or as large as the backbone is shown them.

        Returns
        -------
        logits : ndarray of float32, shape (views, n, classes, rows, columns)
            See :meth:`spurgekit.classify.training.network.PositionNetwork.of_positions`.
        dissimilarity : ndarray of float32, shape (n,), or None
            None of a model that does not know its training tiles.

        Raises
        ------
        InputError
            If the model has another head.
        """
        return self.said_of_positions(*self.logits_of_positions(images))

    @torch.inference_mode()
    def logits_of_positions(self, images: Pixels) -> tuple[Tensor, Tensor | None]:
        """Return logits of positions, and features of images, on the device, which is not waited for.

        See :meth:`spurgekit.classify.training.network.PositionNetwork.of_positions`.
        """
        network, knows = self._positions_network(), self.applicability is not None
        with autocast(self.device, self.dtype):
            return network.of_positions(self._preprocess(images), self.info.views, features=knows, runner=self._runner)

    def said_of_positions(
        self, logits: Tensor, features: Tensor | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return what :meth:`position_logits` does of what :meth:`logits_of_positions` began."""
        return np.asarray(logits.cpu().numpy(), np.float32), self._dissimilarity(features)

    @property
    def positions(self) -> Positions:
        """How the head looks at positions.

        Raises
        ------
        InputError
            If the model has a head that does not.
        """
        self._positions_network()
        assert self.info.positions is not None
        return self.info.positions

    def cell_probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return class probabilities of positions, from their logits [n, classes]; of a model of cover, shares."""
        head = self._positions_network().model.head
        return self.probabilities(head.scale.cpu().numpy() * logits + head.cell_shift.cpu().numpy())

    def pooled_probabilities(self, pooled: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return class probabilities of tiles, from logits [n, classes] that were pooled over their positions."""
        head = self._positions_network().model.head
        return self.probabilities(head.scale.cpu().numpy() * pooled + head.shift.cpu().numpy())

    def _positions_network(self) -> PositionNetwork:
        if not isinstance(self.network, PositionNetwork):
            raise InputError(
                f"{self.folder or 'the model'} is of the arm {self.info.arm}, which says nothing of places within a tile; "
                "train one with `arm=mil` (or `arm=segment`, from masks), or map with `resolution=tile`"
            )
        return self.network

    def on_site(self, shift: SiteShift) -> TileClassifier:
        """Return the same model moved to a site; what ``info`` says of its held-out test is of it as it was.

        Parameters
        ----------
        shift : SiteShift
        """
        moved = copy(self)
        moved.shift = shift
        return moved

    def parameters(self) -> dict[str, object]:
        """Return how the model looks at tiles, for a record of what was done with it."""
        fetched = {"model": self.source.name} if self.source is not None and self.source.is_fetched else {}
        looks = {"device": str(self.device), "precision": self.precision, "runtime": self.runtime, "views": self.info.views}
        return {**fetched, **looks, "prevalence": self.prevalence}


def save_model(folder: Path, info: ModelInfo, network: nn.Module) -> None:
    """Write ``model.safetensors`` and ``model.json`` into a folder, and ``config.json`` where timm can make the model."""
    save_tensors(folder / WEIGHTS, network.state_dict(), {"format": "pt"})
    if config := timm_config(info):
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8", newline="\n")
    (folder / DESCRIPTION).write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")


def load_model(
    folder: str | Path,
    device: str = "auto",
    *,
    views: Literal[1, 4, 8] | None = None,
    prevalence: str | None = None,
    precision: Precision = "float32",
) -> TileClassifier:
    """Load a model folder.

    Parameters
    ----------
    folder : str or pathlib.Path
        Or ``hf://OWNER/NAME[@REVISION]``, a model on the Hugging Face Hub; see
        :func:`spurgekit.classify.model_sources.find_model`.
    device : str
        cpu, cuda, cuda:1, ...; auto is a GPU if there is one.
    views : {1, 4, 8}, optional
        Turns of a tile to average over, if not as many as the model was tested with: one is eight times as fast, and 4 are its
        quarter turns.
    prevalence : str, optional
        How common the classes are expected to be, where that is not as in training; see
        :func:`spurgekit.classify.prevalence.parse_prevalence`.

        What ``info`` says of the held-out test is then of as many views and of the probabilities so corrected.
    precision : {"auto", "float32", "bfloat16"}
        What the backbone counts in; auto is bfloat16 where the hardware multiplies it.

        See :func:`spurgekit.precision.pick_precision`.

    Returns
    -------
    TileClassifier

    Raises
    ------
    ModelError
        If it is not one, or its weights do not fit its description.
    InputError
        If the prevalence cannot be.
    HubError
        If it is on the Hub, and cannot be had.
    """
    source = find_model(folder)
    folder = source.folder
    info = read_model_info(folder)
    if prevalence is not None and info.target == "cover":
        raise InputError(f"{source.name} says how much of a tile is covered, which no `prevalence` changes; leave it out")
    shares = None if prevalence is None else parse_prevalence(prevalence, info.classes)
    if views not in (None, *VIEW_COUNTS):
        raise InputError(f"`views={views!r}` cannot be; pass one of {listed([str(count) for count in VIEW_COUNTS], 3)}")
    network = _load_network(folder, info)
    tested = held_out_as(folder, info, shares, views or info.views)
    if tested is not None and (shares is not None or views not in (None, info.views)):
        info = _tested_as(info, tested)
    info = info.model_copy(update={"views": views or info.views})
    model = TileClassifier(info, network, choose_device(device), folder, shares, tested, precision)
    model.applicability = read_applicability(folder)
    model.source = source
    return model


def _load_network(folder: Path, info: ModelInfo) -> nn.Module:
    """Return the network of a model folder.

    It is made without its numbers first, to be compared with the file of weights: what a description asks for may be of any
    size.
    """
    file = folder / WEIGHTS
    make = partial(_make_network, info)
    try:
        with safe_open(file, framework="pt") as tensors:
            given = {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file} is missing or damaged; {REMEDY}") from error
    with torch.device("meta"):
        problem = misfit(make().state_dict(), given)
    if problem:
        raise ModelError(f"{file} does not fit {DESCRIPTION}: it {problem}; {REMEDY}")
    network = make()
    network.load_state_dict(read_weights(file))
    return network


def _make_network(info: ModelInfo) -> nn.Module:
    """Return a network as it is described, with random weights."""
    classes, positions = len(info.classes), info.positions
    backbone = make_backbone(
        info.backbone,
        options=info.backbone_options,
        image_size_px=info.image_size_px,
        num_classes=classes if positions is None else 0,
        bands=info.bands,
    )
    if positions is None:
        return backbone
    return PositionModel(backbone, PositionHead(positions.features, classes, positions.sharpness))


def _tested_as(info: ModelInfo, tested: HeldOutTiles) -> ModelInfo:
    """Return what is said of a model, scored by what it now says of held-out tiles."""
    from spurgekit.classify.testing import score_tiles  # scikit-learn is of no use to other maps

    scored = score_tiles(info, tested)
    return info.model_copy(update={"held_out": info.held_out.model_copy(update=scored)})
