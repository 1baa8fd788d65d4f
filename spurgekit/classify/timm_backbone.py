"""Backbones from timm, with weights from the Hub, from a package, from a local file, or none."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import timm
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import Tensor, nn

from spurgekit.classify.offline_weights import OFFLINE_BACKBONE, SOURCE, has_offline_weights, offline_hint, read_offline_weights
from spurgekit.errors import ModelError, first_line
from spurgekit.hub import quick_offline
from spurgekit.seeds import seeded
from spurgekit.text import listed, shown

SHOWN_KEYS = 4

RGB = 3
"""Bands that published weights are made for."""


class WeightsUnavailableError(ModelError):
    """The Hub has the weights, or nobody has: they are neither in its cache nor can they be downloaded."""


def is_packaged(name: str) -> bool:
    """Return whether the pretrained weights of a backbone come from an installed package, which needs no connection."""
    return name.split(".")[0] == OFFLINE_BACKBONE and has_offline_weights()


def make_backbone(
    name: str,
    *,
    pretrained: bool = False,
    weights: Path | None = None,
    options: Mapping[str, Any] | None = None,
    image_size_px: int | None = None,
    num_classes: int = 0,
    bands: int = RGB,
    seed: int = 0,
) -> nn.Module:
    """Make a timm model.

    Parameters
    ----------
    name : str
        As ``timm.list_models()`` has it.
    pretrained : bool
        Load the weights that timm names for it: of :mod:`spurgekit.classify.offline_weights` where they are installed, else
        from the Hub or its cache.
    weights : pathlib.Path, optional
        A local safetensors file, or a folder with ``model.safetensors``; a classifier in it is left aside.
    options : mapping, optional
        Further arguments of ``timm.create_model``.
    image_size_px : int, optional
        For backbones that must know it, such as vision transformers.
    num_classes : int
        0 gives features.
    bands : int
        That tiles have. Weights for RGB are adapted to other numbers of bands as timm does it: those of the first layer are
        repeated, or summed for one band, and scaled so that its output stays about as large.
    seed : int
        Of the random weights, where there are no others.

    Raises
    ------
    WeightsUnavailableError
        If pretrained weights can be neither downloaded nor found.
    ModelError
        If timm has no such model, weights do not fit, or the image size is no whole number of a vision transformer's patches.
    """
    if name.split(".")[0] not in timm.list_models():
        close = timm.list_models(f"*{name.split('.')[0][:6]}*")[:4]
        hint = f"; near it are {', '.join(close)}" if close else ""
        raise ModelError(f"timm has no backbone {name!r}{hint}; see timm.list_models()")
    arguments: dict[str, Any] = dict(options or {})
    if arguments.setdefault("in_chans", bands) != bands:
        raise ModelError(
            f"`backbone_options`: in_chans={arguments['in_chans']} does not go with the tiles, which have {bands}; leave it out"
        )
    packaged = pretrained and is_packaged(name)
    fetched = pretrained and not packaged
    create = partial(timm.create_model, name, pretrained=fetched, num_classes=num_classes, **arguments)
    try:
        with quick_offline():
            model, _ = create_sized(create, image_size_px, seed)
    except Exception as error:  # whatever an argument makes a network of timm stumble over
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
            raise
        if fetched and isinstance(error, (OSError, RuntimeError)):  # of the Hub; of timm, about missing weights
            raise WeightsUnavailableError(
                f"the pretrained weights of {name!r} can be neither downloaded nor found in the Hub's cache; "
                f"pass a local file as `weights`, or `pretrained=False` for random ones; {offline_hint()}"
            ) from error
        raise ModelError(
            f"timm cannot make {name!r} so: {first_line(error)}; change `backbone_options` or `image_size_px`"
        ) from error
    if image_size_px is not None:
        _check_patches(name, model, image_size_px)
    if packaged:
        _load(model, read_offline_weights(), bands, SOURCE)
    if weights is not None:
        load_backbone_weights(model, weights, bands=bands)
    return model.eval()


def create_sized(
    create: Callable[..., nn.Module], image_size_px: int | None, seed: int = 0
) -> tuple[nn.Module, dict[str, int]]:
    """Create a model for images of a size, and return it with the argument that says so, which not all models take.

    Parameters
    ----------
    create : callable
        ``timm.create_model`` with all else that it is told.
    image_size_px : int or None
    seed : int
        Of random weights.
    """
    try:
        with seeded(seed):
            return create(img_size=image_size_px), {} if image_size_px is None else {"img_size": image_size_px}
    except TypeError as error:
        if "img_size" not in str(error):  # convolutional backbones take any size and no such argument
            raise
    with seeded(seed):
        return create(), {}


def _check_patches(name: str, model: nn.Module, image_size_px: int) -> None:
    """Refuse an image size of which a vision transformer would see the left and upper part only, without a word."""
    patches = getattr(model, "patch_embed", None)
    layer = getattr(patches, "proj", None)
    if not isinstance(layer, nn.Conv2d) or layer.stride != layer.kernel_size or getattr(patches, "dynamic_img_pad", False):
        return  # convolutions that overlap take any size
    side = layer.stride[0]
    if rest := image_size_px % side:
        raise ModelError(
            f"{name!r} sees images in patches of {side} px, and of {image_size_px} px they would leave out {rest}; "
            f"pass `image_size_px={side * max(1, round(image_size_px / side))}`"
        )


def load_backbone_weights(model: nn.Module, path: Path, *, bands: int = RGB) -> None:
    """Load a safetensors file into a backbone, strictly but for a classifier that it does not have.

    Weights for RGB are adapted where the backbone is made for other bands, as timm adapts those that it fetches.

    Raises
    ------
    ModelError
        If the file is missing, not safetensors, or has other tensors than the backbone; the message lists some.
    """
    file = path / "model.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise ModelError(f"{file}: no such file; pass a .safetensors file as `weights`")
    _load(model, read_weights(file), bands, str(file))


def _load(model: nn.Module, tensors: dict[str, Tensor], bands: int, source: str) -> None:
    """Load tensors into a backbone, as :func:`load_backbone_weights` does those of a file."""
    own = model.state_dict()
    _adapt_first_layer(model, tensors, bands, source)
    classifier = model.pretrained_cfg.get("classifier") or "classifier"  # type: ignore[union-attr,operator]
    heads = tuple(f"{name}." for name in ((classifier,) if isinstance(classifier, str) else classifier))
    given = {key: tuple(rows.shape) for key, rows in tensors.items() if key in own or not key.startswith(heads)}
    if problem := misfit(own, given):
        raise ModelError(f"{source} does not fit the backbone: it {problem}; pass the `backbone` that it was made for")
    model.load_state_dict({key: tensors[key] for key in own})


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read a safetensors file of weights, which are numbers all of them.

    Raises
    ------
    ModelError
        If it is missing or no such file.
    """
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{file} is not a safetensors file ({first_line(error)}); pickled weights must be converted first"
        ) from error
    if odd := [key for key, rows in tensors.items() if not rows.isfinite().all()]:
        raise ModelError(f"{file} has weights that are not numbers, in {shown(odd[0])}; get the file again")
    return tensors


def misfit(own: Mapping[str, Tensor], given: Mapping[str, tuple[int, ...]]) -> str:
    """Return how the tensors of a file, by their shapes, differ from those of a network; nothing where they do not."""
    for what, keys in (
        ("lacks", [key for key in own if key not in given]),
        ("has the unknown", [key for key in given if key not in own]),
        ("has other shapes for", [key for key in own if key in given and given[key] != tuple(own[key].shape)]),
    ):
        if keys:
            return f"{what} {listed([shown(key, quotes=False) for key in keys], SHOWN_KEYS)}"
    return ""


def _adapt_first_layer(model: nn.Module, tensors: dict[str, Tensor], bands: int, source: str) -> None:
    """Adapt weights for RGB in place; those for other bands fit only as many."""
    first: str | tuple[str, ...] = model.pretrained_cfg.get("first_conv") or ()  # type: ignore[union-attr,operator]
    own = model.state_dict()
    for key in (f"{name}.weight" for name in ((first,) if isinstance(first, str) else first)):
        if key not in tensors or key not in own or tensors[key].ndim != 4 or tensors[key].shape == own[key].shape:
            continue
        # A stem may see each band several times (space to depth), or in groups.
        made_for = tensors[key].shape[1] * bands / own[key].shape[1]
        if made_for == RGB:
            with suppress(NotImplementedError):
                tensors[key] = adapt_input_conv(bands, tensors[key])
        elif made_for != bands:
            raise ModelError(
                f"{source} has weights for {made_for:g} bands in {key}, and the tiles have {bands}; "
                "pass weights for as many, or for RGB"
            )
