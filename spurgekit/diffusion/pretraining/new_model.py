"""A new latent diffusion model around a given VAE and tokenizer: its parts, what of them does not fit, and its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from spurgekit.diffusion.diffusers_layout import read_json
from spurgekit.diffusion.latent_model import Backbone, BackboneInfo
from spurgekit.diffusion.library_logs import quiet
from spurgekit.diffusion.pretraining.latent_size import CHANNELS, LATENT_PX
from spurgekit.diffusion.pretraining.pretraining_options import PretrainingOptions
from spurgekit.diffusion.pretraining.unet_sizes import UNET_SIZES, UnetSize
from spurgekit.errors import InputError, ModelError, first_line
from spurgekit.seeds import seed_of, seeded

TOKENS = 77
"""Longest prompt, where a tokenizer does not say it."""

NOISE = {
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000,
    "clip_sample": False,
}  # fmt: skip
"""Noise levels of Stable Diffusion, so that strengths of edits mean the same."""

GROUP = 32
"""Channels that are normalised together, and that a head of attention has."""

ENDS = ("<|startoftext|>", "<|endoftext|>")


@dataclass(frozen=True, slots=True)
class GivenParts:
    """Parts of the new model that are not trained.

    Attributes
    ----------
    vae : torch.nn.Module
        ``AutoencoderKL`` or ``AutoencoderTiny`` of diffusers.
    tokenizer : transformers.CLIPTokenizer
    text_encoder : transformers.CLIPTextModel or None
        None: one is trained with the UNet.
    """

    vae: Any
    tokenizer: Any
    text_encoder: Any = None


def load_parts(vae: Path | None, tokenizer: Path | None, text_encoder: Path | None = None) -> GivenParts:
    """Load what a new model takes from elsewhere.

    Parameters
    ----------
    vae, tokenizer, text_encoder : pathlib.Path
        Folders of diffusers' and transformers', or of whole checkpoints that have such a part.

    Raises
    ------
    ModelError
        If a part is missing, damaged, or not one that a Stable Diffusion has.
    """
    if vae is None:
        raise ModelError("images need a VAE; pass the folder of one, or of a checkpoint that has one, as `vae`")
    if tokenizer is None:
        raise ModelError("prompts need a tokenizer; pass the folder of CLIP's, or of a checkpoint that has one, as `tokenizer`")
    found = _load_vae(_part(vae, "vae"))
    reads = _load_tokenizer(_part(tokenizer, "tokenizer"))
    encoder = None if text_encoder is None else _load_text_encoder(_part(text_encoder, "text_encoder"))
    if encoder is not None and encoder.config.vocab_size != len(reads):
        raise ModelError(
            f"{tokenizer} knows {len(reads):,} tokens, and the text encoder in {text_encoder} {encoder.config.vocab_size:,}; "
            "they do not belong together"
        )
    return GivenParts(found, reads, encoder)


def size_of(options: PretrainingOptions, tile_px: int) -> int:
    """Return the side that crops are shown to the model at.

    Raises
    ------
    InputError
        If the UNet cannot halve it as often as it does.

    Examples
    --------
    >>> size_of(PretrainingOptions(), 50), size_of(PretrainingOptions(), 250)
    (128, 256)
    """
    multiple = LATENT_PX * 2 ** UNET_SIZES[options.unet].halvings
    size_px = options.size_px or max(128, -(-tile_px // multiple) * multiple)
    if size_px % multiple:
        raise InputError(f"`size_px={size_px}` does not fit the model; pass a multiple of {multiple}")
    return size_px


def new_backbone(parts: GivenParts, options: PretrainingOptions, size_px: int, device: torch.device) -> Backbone:
    """Return a model of random weights around given parts.

    Parameters
    ----------
    parts : GivenParts
    options : PretrainingOptions
        The same seed gives the same weights.
    size_px : int
        Side of the images that it is to be trained on.
    device : torch.device
    """
    import diffusers

    library: Any = diffusers
    size = UNET_SIZES[options.unet]
    with quiet(), seeded(seed_of(options.seed, "weights")):
        encoder = parts.text_encoder if parts.text_encoder is not None else _new_text_encoder(parts.tokenizer, size)
        levels = size.halvings
        unet = library.UNet2DConditionModel(
            sample_size=size_px // LATENT_PX,
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            block_out_channels=size.widths,
            layers_per_block=size.layers,
            down_block_types=("DownBlock2D", *["CrossAttnDownBlock2D"] * levels),
            up_block_types=(*["CrossAttnUpBlock2D"] * levels, "UpBlock2D"),
            cross_attention_dim=encoder.config.hidden_size,
            attention_head_dim=tuple(width // GROUP for width in size.widths),
            norm_num_groups=GROUP,
        )
        scheduler = library.DDPMScheduler(**NOISE, prediction_type=options.prediction_type)
    return Backbone(
        BackboneInfo("the new model", None, None, "sd", size_px),
        unet=unet,
        vae=parts.vae,
        tokenizers=(parts.tokenizer,),
        text_encoders=(encoder,),
        scheduler=scheduler,
        device=device,
    )


def save_pipeline(backbone: Backbone, folder: Path) -> None:
    """Write a model as ``StableDiffusionPipeline`` of diffusers has it."""
    import diffusers

    library: Any = diffusers
    with quiet():
        pipeline = library.StableDiffusionPipeline(
            unet=backbone.unet,
            vae=backbone.vae,
            tokenizer=backbone.tokenizers[0],
            text_encoder=backbone.text_encoders[0],
            scheduler=backbone.scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.save_pretrained(folder, safe_serialization=True)
    for weights in folder.glob("*/*.safetensors"):  # which safetensors makes for their owner alone
        weights.chmod((folder / "model_index.json").stat().st_mode)


def _part(path: Path, name: str) -> Path:
    """Return the folder of a part, which a checkpoint may have below it."""
    path = Path(path).expanduser()
    if not path.is_dir():
        raise ModelError(f"{path}: no such folder; pass that of a {name.replace('_', ' ')} as `{name}`")
    return path / name if (path / name).is_dir() else path


def _load_vae(folder: Path) -> Any:
    import diffusers

    config = read_json(folder / "config.json")
    kind = config.get("_class_name")
    if kind not in ("AutoencoderKL", "AutoencoderTiny"):
        raise ModelError(f"{folder} holds a {kind or 'network of no name'}; pass an AutoencoderKL or AutoencoderTiny as `vae`")
    channels = config.get("latent_channels", CHANNELS)
    if channels != CHANNELS:
        raise ModelError(
            f"the VAE in {folder} has latents of {channels} channels, Stable Diffusion's have {CHANNELS}; pass another `vae`"
        )
    widths = config.get("encoder_block_out_channels") or config.get("block_out_channels") or ()
    ratio = 2 ** (len(widths) - 1) if widths else LATENT_PX
    if ratio != LATENT_PX:
        raise ModelError(
            f"a latent of the VAE in {folder} stands for {ratio} px a side, and Stable Diffusion's for {LATENT_PX}; "
            "pass another `vae`"
        )
    library: Any = diffusers
    return _checked(getattr(library, kind), folder, "vae")


def _load_text_encoder(folder: Path) -> Any:
    import transformers

    if read_json(folder / "config.json").get("model_type") != "clip_text_model":
        raise ModelError(f"{folder} holds no CLIPTextModel; pass one as `text_encoder`, or leave it out to train one")
    return _checked(transformers.CLIPTextModel, folder, "text_encoder")


def _checked(cls: Any, folder: Path, name: str) -> Any:
    """Load a network, all of whose weights are in its folder."""
    try:
        with quiet():
            network, report = cls.from_pretrained(
                str(folder), use_safetensors=True, local_files_only=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder} cannot be loaded ({first_line(error)}); pass another `{name}`") from error
    if report["missing_keys"] or report["mismatched_keys"]:
        raise ModelError(f"the weights in {folder} do not fill their network; pass another `{name}`")
    return network.requires_grad_(False).eval()


def _load_tokenizer(folder: Path) -> Any:
    import transformers

    library: Any = transformers
    try:
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            # CLIPTokenizer makes a vocabulary of two tokens of the names of these files.
            vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
            lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
            pairs = [tuple(line.split()) for line in lines if line and not line.startswith("#version")]
            found = library.CLIPTokenizer(vocab=vocabulary, merges=pairs, model_max_length=TOKENS)
        else:
            with quiet():
                found = library.CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ModelError(f"{folder} holds no tokenizer of CLIP's ({first_line(error)}); pass another `tokenizer`") from error
    if len(found) < 256 or not set(ENDS) <= set(found.get_vocab()):
        raise ModelError(f"{folder} holds no vocabulary of CLIP's (vocab.json and merges.txt); pass another `tokenizer`")
    if found.model_max_length > 1 << 20:  # what transformers says of one that does not say it
        found.model_max_length = TOKENS
    return found


def _new_text_encoder(tokenizer: Any, size: UnetSize) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=size.text_width,
            intermediate_size=4 * size.text_width,
            num_hidden_layers=size.text_layers,
            num_attention_heads=size.text_width // GROUP,
            max_position_embeddings=tokenizer.model_max_length,
            projection_dim=size.text_width,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
