"""The ways of working that spurgekit is held against, written from their description.

Generation: DA-Fusion's reference code, through plain diffusers. Textual inversion: the training loop of diffusers' example
script, as its documentation tells it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as nnf
from torch.utils.data import DataLoader, Dataset

from spurgekit.diffusion.textual_inversion.prompt_templates import PUBLISHED


class OneAtATime:
    """Edits by ``StableDiffusionImg2ImgPipeline``, one image a call.

    float16 on a GPU, the checkpoint's scheduler and the default attention, the safety checker left out. Each call resizes its
    tile, encodes tile and prompt, and its image goes back to the tile's size and into a PNG by Pillow. (The reference code also
    runs it under autocast, which makes it slower; that is left out here.)
    """

    def __init__(self, folder: Path, concept: Path, *, size_px: int, steps: int, guidance: float, device: torch.device) -> None:
        from diffusers import StableDiffusionImg2ImgPipeline

        dtype = torch.float16 if device.type == "cuda" else torch.float32
        self.pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(folder, dtype=dtype).to(device)
        self.pipeline.set_progress_bar_config(disable=True)
        self.pipeline.load_textual_inversion(str(concept))
        self.size_px = size_px
        self.given = {"num_inference_steps": steps, "guidance_scale": guidance}

    def make(self, tile: Path, prompt: str, strength: float, to: Path) -> None:
        """Write one edit of a tile."""
        image = Image.open(tile).convert("RGB")
        canvas = image.resize((self.size_px, self.size_px), Image.Resampling.BILINEAR)
        (made,) = self.pipeline(prompt=[prompt], image=canvas, strength=strength, **self.given).images
        made.resize(image.size, Image.Resampling.BILINEAR).save(to)


@dataclass(frozen=True, slots=True)
class ExampleSettings:
    """Arguments of diffusers' ``textual_inversion.py`` that its speed depends on.

    Attributes
    ----------
    name : str
        Whose they are.
    batch : int
        ``--train_batch_size``
    accumulate : int
        ``--gradient_accumulation_steps``
    half : bool
        ``--mixed_precision fp16``; without it the script trains in float32.
    """

    name: str
    batch: int
    accumulate: int
    half: bool

    def __str__(self) -> str:
        precision = "mixed fp16" if self.half else "float32"
        return f"{self.name} (batch {self.batch}, accumulation {self.accumulate}, {precision})"


EXAMPLE_SETTINGS = (
    ExampleSettings("its README's command", 1, 4, half=False),
    ExampleSettings("its defaults", 16, 1, half=False),
    ExampleSettings("batch of DA-Fusion", 4, 1, half=True),
)
"""Of diffusers 0.42, ``examples/textual_inversion``. DA-Fusion took a batch of 4; float16 is the faster choice for it."""


class TilesOfOneClass(Dataset[dict[str, torch.Tensor]]):
    """Tiles read, resized and mirrored, each with a prompt, anew for every sample, as the example does it."""

    def __init__(self, tiles: Sequence[Path], tokenizer: Any, token: str, size_px: int, repeats: int = 100) -> None:
        self.tiles, self.tokenizer, self.token, self.size_px, self.repeats = tiles, tokenizer, token, size_px, repeats

    def __len__(self) -> int:
        return len(self.tiles) * self.repeats

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        image = Image.open(self.tiles[index % len(self.tiles)]).convert("RGB")
        pixels = np.asarray(image.resize((self.size_px, self.size_px), Image.Resampling.BICUBIC))
        if random.random() < 0.5:
            pixels = pixels[:, ::-1]
        prompt = random.choice(PUBLISHED).format(self.token)
        read = self.tokenizer(prompt, padding="max_length", truncation=True, max_length=77, return_tensors="pt")
        images = torch.from_numpy(pixels / np.float32(127.5) - 1).permute(2, 0, 1)
        return {"images": images.contiguous(), "ids": read.input_ids[0]}


class ExampleTraining:
    """The example's training of one class: one token in a whole table of embeddings that the optimiser has.

    Images go through the VAE in every step. UNet and VAE are float32 unless mixed precision is asked for: then both are
    float16, the text encoder is float32 under autocast, and the loss is scaled. The loss is read in every step, and after each
    the rows of all other words are put back.
    """

    def __init__(
        self, folder: Path, tiles: Sequence[Path], token: str, settings: ExampleSettings, *, size_px: int, device: torch.device
    ) -> None:
        from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
        from transformers import CLIPTextModel, CLIPTokenizer

        self.settings, self.device = settings, device
        self.dtype = torch.float16 if settings.half else torch.float32
        self.schedule = DDPMScheduler.from_pretrained(folder, subfolder="scheduler")
        tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer")
        tokenizer.add_tokens([token])
        self.unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", dtype=self.dtype).to(device)
        self.vae = AutoencoderKL.from_pretrained(folder, subfolder="vae", dtype=self.dtype).to(device)
        self.text_encoder = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", dtype=torch.float32).to(device)  # type: ignore[arg-type]
        self.text_encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        for module in (self.unet, self.vae, self.text_encoder):
            module.requires_grad_(False)
        self.table = self.text_encoder.get_input_embeddings().weight
        self.token = tokenizer.convert_tokens_to_ids(token)
        with torch.no_grad():
            self.table[self.token] = self.table[tokenizer.convert_tokens_to_ids("the</w>")]
        self.table.requires_grad_(True)
        self.text_encoder.train()
        self.before = self.table.detach().clone()
        rate = 5e-4 * settings.batch * settings.accumulate
        self.optimiser = torch.optim.AdamW([self.table], lr=rate, weight_decay=1e-2)
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.half)
        self.batches = self._forever(
            DataLoader(TilesOfOneClass(tiles, tokenizer, token, size_px), settings.batch, shuffle=True)
        )

    def step(self) -> float:
        """Take one update; return the loss of its last batch."""
        for number in range(self.settings.accumulate):
            loss = self._loss(next(self.batches)) / self.settings.accumulate
            self.scaler.scale(loss).backward()
            if number + 1 == self.settings.accumulate:
                self.scaler.step(self.optimiser)
                self.scaler.update()
                self.optimiser.zero_grad()
            others = torch.ones(len(self.table), dtype=torch.bool)
            others[self.token] = False
            with torch.no_grad():
                self.table[others] = self.before[others]
            read = loss.item()
        return read

    def _loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        images = batch["images"].to(self.device, self.dtype)
        latents = self.vae.encode(images).latent_dist.sample().detach() * self.vae.config.scaling_factor
        noise = torch.randn_like(latents)
        times = torch.randint(0, self.schedule.config.num_train_timesteps, (len(latents),), device=self.device)
        with torch.autocast(self.device.type, torch.float16, enabled=self.settings.half):
            states = self.text_encoder(batch["ids"].to(self.device))[0]
        noisy = self.schedule.add_noise(latents, noise, times)
        found = self.unet(noisy, times, states.to(self.dtype)).sample
        return nnf.mse_loss(found.float(), noise.float())

    @staticmethod
    def _forever(loader: DataLoader[dict[str, torch.Tensor]]) -> Iterator[dict[str, torch.Tensor]]:
        return itertools.chain.from_iterable(itertools.repeat(loader))


def parts_of(reference: OneAtATime) -> list[tuple[Any, str, str]]:
    """Return what a stopwatch should watch of edits one at a time."""
    pipeline = reference.pipeline
    watched: list[tuple[Any, str, str]] = [
        (pipeline.text_encoder, "forward", "text"),
        (pipeline.vae, "encode", "VAE encode"),
        (pipeline.unet, "forward", "UNet"),
        (pipeline.scheduler, "step", "scheduler"),
        (pipeline.vae, "decode", "VAE decode"),
        (Image.Image, "resize", "resize"),
        (Image.Image, "save", "PNG"),
    ]
    return watched
