"""Making images: edits of tiles, images from a prompt alone, and tiles through the model's encoder and back.

How they are made is told by the values of :mod:`spurgekit.diffusion.edits`; noise is taken out in
:mod:`spurgekit.diffusion.sampler`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spurgekit.byte_cache import ByteCache
from spurgekit.diffusion.compositing import Mask, open_mask, paste, read_mask
from spurgekit.diffusion.edits import Edit, EditUnit, Mode, Rendered, RenderOptions, steps_of
from spurgekit.diffusion.image_tensors import Picture, fetched, picture_size, read_picture, to_bytes, to_model
from spurgekit.diffusion.latent_model import Backbone, Posterior
from spurgekit.diffusion.noise import generators_of
from spurgekit.diffusion.oom_batching import Chunks
from spurgekit.diffusion.prompt_embeddings import Conditions
from spurgekit.diffusion.prompts import Conditioning, joined
from spurgekit.diffusion.sampler import Hole, Unet, denoise
from spurgekit.errors import ModelError

__all__ = ["Edit", "EditUnit", "Mode", "RenderOptions", "Rendered", "Renderer"]

TILES_BYTES = 256 << 20
"""Of what the encoder made of tiles, on the CPU: 2000 tiles of Stable Diffusion at 512 px, 500 of SDXL at 1024 px."""

MASKS_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, eq=False)
class _EncodedTile:
    """A tile as the encoder has it, and its height and width."""

    posterior: Posterior
    size: tuple[int, int]


class Renderer:
    """Makes images with a diffusion model.

    What an image looks like depends on its :class:`Edit`, the unit's mode and strength, the options and the model, but not on
    the images beside it: each has its own generator, and tiles and prompts are encoded one by one, once each. What is left is
    the rounding of sums, whose order may differ with the size of a batch. A renderer makes one unit at a time.

    Parameters
    ----------
    backbone : Backbone
    options : RenderOptions
    warn : callable
        Told what a user should know, once for each thing.

    Raises
    ------
    InputError
        If there is no such scheduler, or the size does not fit the model.
    """

    def __init__(
        self, backbone: Backbone, options: RenderOptions | None = None, *, warn: Callable[[str], None] = lambda _: None
    ) -> None:
        from spurgekit.diffusion.schedulers import make_scheduler

        self.backbone = backbone
        self.options = options or RenderOptions()
        self.warn = warn
        self.size_px = self.options.size_px or backbone.info.size_px
        backbone.check_size(self.size_px)
        self.conditions = Conditions(backbone)
        self._scheduler = make_scheduler(backbone, self.options.scheduler)
        self._unet = _compiled(backbone.unet, warn) if self.options.compile and backbone.device.type == "cuda" else None
        self._batches = Chunks(sys.maxsize, "images", warn)
        self._encodes = Chunks(1, "encoded tiles", warn)
        self._decodes = Chunks(self.options.decode_batch, "decoded images", warn)
        self._sources: ByteCache[_EncodedTile] = ByteCache(TILES_BYTES, lambda source: _bytes_of(source.posterior))
        self._around: ByteCache[Posterior] = ByteCache(TILES_BYTES, _bytes_of)
        self._details: ByteCache[NDArray[np.int16]] = ByteCache(MASKS_BYTES, lambda detail: detail.nbytes)
        self._masks: ByteCache[Mask] = ByteCache(MASKS_BYTES, lambda mask: mask.nbytes)
        self._in_float32: Renderer | None = None

    def render(self, unit: EditUnit) -> Rendered:
        """Make images.

        Raises
        ------
        InputError
            If a tile, a mask or a prompt does not serve, or the strength leaves no step.
        ModelError
            If a concept does not fit the model, not even one image fits the GPU's memory, or an image is not finite.
        """
        if unit.mode == "edit":
            steps_of(self.options.steps, unit.strength)
        images = self._pictures(unit)
        lost = [row for row, image in enumerate(images) if image is None]
        if lost:
            for row, image in zip(lost, self._again(replace(unit, edits=tuple(unit.edits[row] for row in lost))), strict=True):
                images[row] = image
        if self.options.keep_detail and unit.mode == "edit":
            images = [self._detailed(edit, image) for edit, image in zip(unit.edits, images, strict=True)]
        finished = [self._finished(edit, image) for edit, image in zip(unit.edits, images, strict=True) if image is not None]
        return Rendered(self._checked(finished), len(lost), min(len(unit.edits), self._batches.size))

    def _pictures(self, unit: EditUnit) -> list[Picture | None]:
        """Make images in the sizes of their tiles; None for those that are not finite."""
        edits = unit.edits
        sizes = [picture_size(edit.source) if unit.mode == "text" else self._source(edit.source).size for edit in edits]
        latents = torch.cat(self._batches.run(len(edits), lambda rows: self._latents(edits[rows], unit)) or [torch.empty(0)])

        def decode(rows: slice) -> tuple[Tensor, list[Tensor]]:
            images = self.backbone.decode(latents[rows])
            # TAESD would make something of latents that are not finite.
            finite = latents[rows].isfinite().flatten(1).all(1) & images.isfinite().flatten(1).all(1)
            return finite, to_bytes(images, sizes[rows])

        # Looked at when all are on their way: a GPU does not wait for the CPU between them.
        decoded = self._decodes.run(len(edits), decode)
        pictures = fetched([part for _, parts in decoded for part in parts])
        good = [flag for finite, _ in decoded for flag in finite.tolist()]
        return [picture if flag else None for picture, flag in zip(pictures, good, strict=True)]

    def _latents(self, edits: Sequence[Edit], unit: EditUnit) -> Tensor:
        """Return latents without noise."""
        image = None if unit.mode == "text" else _stacked([self._source(edit.source).posterior for edit in edits])
        if unit.mode == "roundtrip" and image is not None:
            return image.mean.to(self.backbone.device)
        guides = self.options.guidance > 1
        return denoise(
            self.backbone,
            self._scheduler,
            joined([self._conditioning(edit, edit.prompt) for edit in edits]),
            joined([self._not_wanted(edit) for edit in edits]) if guides else None,
            generators_of([edit.seed for edit in edits]),
            steps=self.options.steps,
            guidance=self.options.guidance,
            size_px=self.size_px,
            strength=unit.strength,
            image=image,
            hole=self._hole(edits),
            unet=self._unet,
        )

    def _conditioning(self, edit: Edit, prompt: str) -> Conditioning:
        return self.conditions.of(prompt, edit.concepts, scale=edit.concept_scale, noise=edit.concept_noise, seed=edit.seed)

    def _not_wanted(self, edit: Edit) -> Conditioning:
        return self._conditioning(edit, edit.negative) if edit.negative else self.conditions.of_nothing()

    def _source(self, path: Path) -> _EncodedTile:
        """Return a tile, encoded by itself: what it is must not depend on which tiles came with it before a run was resumed."""

        def encode() -> _EncodedTile:
            picture = read_picture(path)
            return _EncodedTile(self._encoded(to_model([picture], self.size_px)), picture.shape[:2])

        return self._sources.get(path, encode)

    def _hole(self, edits: Sequence[Edit]) -> Hole | None:
        """Return where images may change; a UNet that takes a mask is told so also where that is everywhere."""
        inpaints = self.backbone.info.inpaints
        if not inpaints and all(edit.mask is None for edit in edits):
            return None
        side = self.size_px // self.backbone.latent_px
        everywhere = torch.ones(1, side, side)
        rows = [everywhere if edit.mask is None else open_mask(self._mask(edit, edit.mask), side) for edit in edits]
        return Hole(torch.stack(rows), _stacked([self._surroundings(edit) for edit in edits]) if inpaints else None)

    def _surroundings(self, edit: Edit) -> Posterior:
        """Return a tile with what may change painted grey."""
        key = (edit.source, edit.mask) if edit.mask is not None else None

        def encode() -> Posterior:
            images = torch.zeros(1, 3, self.size_px, self.size_px)
            if edit.mask is not None:
                images = to_model([read_picture(edit.source)], self.size_px)
                images = images * (1 - open_mask(self._mask(edit, edit.mask), self.size_px))
            return self._encoded(images)

        return self._around.get(key, encode)

    def _encoded(self, image: Tensor) -> Posterior:
        """Return what the encoder makes of one image, on the CPU, where there is room for many and waiting costs nothing."""
        (posterior,) = self._encodes.run(1, lambda _: self.backbone.encode(image))
        return Posterior(posterior.mean.cpu(), posterior.std.cpu())

    def _mask(self, edit: Edit, path: Path) -> Mask:
        return self._masks.get((path, edit.source), lambda: read_mask(path, edit.source, self._source(edit.source).size))

    def _again(self, unit: EditUnit) -> list[Picture]:
        """Make images that were not finite in float32, in which numbers may be larger than the 65,504 of float16."""
        images: Sequence[Picture | None] = [None] * len(unit.edits)
        if self.backbone.dtype != torch.float32:
            if self._in_float32 is None:
                # Kept: where one image overflowed, others will.
                self._in_float32 = Renderer(self.backbone.in_float32(), replace(self.options, compile=False), warn=self.warn)
                self._in_float32._batches.what = "images in float32"
            images = self._in_float32._pictures(unit)
        finite = [image for image in images if image is not None]
        if len(finite) < len(images):
            lost = next(edit for edit, image in zip(unit.edits, images, strict=True) if image is None)
            raise ModelError(
                f"the model paints no finite image for {lost.id}, in float32 either; pass a lower `guidance` or another "
                "`scheduler`, or learn its concept again"
            )
        return finite

    def _detailed(self, edit: Edit, image: Picture | None) -> Picture | None:
        """Return an image with what encoder and decoder lose of its tile."""
        if image is None:
            return None
        lost = self._details.get(edit.source, lambda: self._detail(edit))
        detailed = np.asarray(np.clip(image + lost, 0, 255), np.uint8)
        detailed[~detailed.any(axis=2)] = 1  # which is data
        return detailed

    def _detail(self, edit: Edit) -> NDArray[np.int16]:
        """Return a tile less what comes back of it, shape (height, width, 3)."""
        (back,) = self._pictures(EditUnit((edit,), "roundtrip", 0.0))
        tile = read_picture(edit.source)
        return np.zeros(tile.shape, np.int16) if back is None else tile.astype(np.int16) - back

    def _finished(self, edit: Edit, image: Picture) -> Picture:
        """Return an image with its tile put back where it may not change."""
        if edit.mask is None:
            return image
        return paste(read_picture(edit.source, fills=False), image, self._mask(edit, edit.mask))

    def _checked(self, images: Sequence[Picture]) -> tuple[Picture | None, ...]:
        checker = self.backbone.safety_checker
        if checker is None:
            return tuple(images)
        from spurgekit.diffusion.safety import flagged

        return tuple(None if flagged(checker, image[None])[0] else image for image in images)


def _compiled(unet: Unet, warn: Callable[[str], None]) -> Unet:
    """Return a UNet that is compiled when it is first called, and is what it was where that fails."""
    now: list[Unet] = [torch.compile(unet)]

    def call(*arguments: object, **named: object) -> object:
        try:
            return now[0](*arguments, **named)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # those of torch's compiler are
            if now[0] is unet:
                raise
            now[0] = unet
            warn(f"the model cannot be compiled here ({str(error).strip().splitlines()[0]}); it goes on as it is, more slowly")
        return unet(*arguments, **named)

    return call


def _stacked(posteriors: Sequence[Posterior]) -> Posterior:
    return Posterior(torch.cat([one.mean for one in posteriors]), torch.cat([one.std for one in posteriors]))


def _bytes_of(posterior: Posterior) -> int:
    return posterior.mean.nbytes + posterior.std.nbytes
