"""Models to the Hugging Face Hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import ModelCardData
from yaml import YAMLError  # type: ignore[import-untyped]

from spurgekit.classify.classifier import load_model
from spurgekit.classify.model_card import REPOSITORY
from spurgekit.classify.model_files import (
    CARD,
    CONFIG,
    DESCRIPTION,
    PREDICTIONS,
    RELIABILITY,
    STAC_ITEM,
    TRAINING_FEATURES,
    WEIGHTS,
)
from spurgekit.classify.model_info import REMEDY
from spurgekit.classify.onnx_readers import READERS
from spurgekit.classify.timm_config import timm_config
from spurgekit.errors import InputError, ModelError, first_line
from spurgekit.hub_files import Upload, upload
from spurgekit.outputs import CHECKSUMS, PROVENANCE
from spurgekit.outputs.checksums import walk
from spurgekit.reading import read_utf8
from spurgekit.text import counted, is_line, shown


def push_model(
    folder: str | Path,
    repo: str,
    *,
    licence: str | None = None,
    place: bool = False,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
    endpoint: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Upload:
    """Upload a model folder to a repository of the Hub; make it if it is not there.

    ``hf://OWNER/NAME`` then names the model wherever a model folder is taken, and ``hf-hub:OWNER/NAME`` to timm. What goes is
    the model with its card, what it said of held-out tiles (by their ids and places, without coordinates), the features of
    training tiles, the STAC item, and exports as ONNX in the folder; the way that it was made stays here. Card, ``config.json``
    and STAC item get the licence, and the card the name of the repository.

    Parameters
    ----------
    folder : str or pathlib.Path
    repo : str
        ``OWNER/NAME``.
    licence : str, optional
        Of the model, as the Hub names it, e.g. ``mit``. Default: what the header of the card says.
    place : bool
        Let the STAC item tell where the training tiles lie. Else nothing tells that, but for names of sites and tiles.
    private : bool
        Of a repository that is made.
    revision : str, optional
        Branch; ``main`` by default.
    token : str, optional
        Default: that of ``hf auth login``.
    endpoint : str, optional
        Address of another Hub.
    say : callable
        Is given a line on what stays here, where there is something.

    Returns
    -------
    Upload
        Address of the repository, and the commit.

    Raises
    ------
    ModelError
        If the folder is no whole model.
    InputError
        If it has no licence.
    HubError
        If the Hub cannot be reached or refuses.
    """
    folder = Path(folder)
    info = load_model(folder, "cpu").info
    card = _read_card(folder)
    licence = licence or _licence(card)
    if licence is None:
        raise InputError(f"{folder} says nothing of its licence; pass `licence`, e.g. `licence=mit`{_licence_of_base(card)}")
    if not is_line(licence):
        raise InputError(f"`licence={shown(licence)}` is none; pass one as the Hub names it, e.g. `licence=mit`")
    card.data["license"] = licence
    card.text = card.text.replace(REPOSITORY, repo)
    files: dict[str, Path | bytes] = {name: folder / name for name in _own_files() if (folder / name).is_file()}
    files[CARD] = str(card).encode()
    if config := timm_config(info, licence=licence):
        files[CONFIG] = _json(config)
    if STAC_ITEM in files:
        item = _read_item(folder / STAC_ITEM)
        item["properties"]["license"] = licence
        if item.get("geometry") and not place:
            item = {key: value for key, value in item.items() if key != "bbox"} | {"geometry": None}
            say(f"{STAC_ITEM} goes without where the training tiles lie; pass `place` to tell that")
        files[STAC_ITEM] = _json(item)
    if stray := sorted(name for name in walk(folder) if name not in files and name not in (CHECKSUMS, PROVENANCE)):
        say(f"{counted(len(stray), 'file')} beside the model's own stay here, such as {shown(stray[0], quotes=False)}")
    return upload(
        repo,
        dict(sorted(files.items())),
        repo_type="model",
        message=f"Upload {info.arm} of {info.backbone}",
        private=private,
        revision=revision,
        token=token,
        endpoint=endpoint,
    )


def _own_files() -> list[str]:
    """Return the names of the files that may be a model's own."""
    exports = [reader.file for reader in READERS.values()]
    return [WEIGHTS, DESCRIPTION, CARD, CONFIG, PREDICTIONS, TRAINING_FEATURES, RELIABILITY, STAC_ITEM, *exports]


def _read_card(folder: Path) -> ModelCard:
    file = folder / CARD
    text = read_utf8(file, REMEDY, error=ModelError)
    try:
        return ModelCard(text)
    except (ValueError, YAMLError) as error:
        raise ModelError(f"{file} has a header that the Hub cannot read ({first_line(error)}); {REMEDY}") from error


def _licence(card: ModelCard) -> str | None:
    data = card.data
    assert isinstance(data, ModelCardData)
    return data.license if isinstance(data.license, str) else None


def _licence_of_base(card: ModelCard) -> str:
    """Return what is known of the licence of a backbone's weights, for the message."""
    import timm

    data = card.data
    assert isinstance(data, ModelCardData)
    base = data.base_model
    config = timm.models.get_pretrained_cfg(base.partition("/")[2]) if isinstance(base, str) else None
    return f" (the weights of {base}, from which it was made, are under {config.license})" if config and config.license else ""


def _read_item(file: Path) -> dict[str, Any]:
    try:
        item = json.loads(read_utf8(file, REMEDY, error=ModelError))
        if not isinstance(item["properties"], dict):
            raise TypeError("properties")
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{file} is damaged; {REMEDY}") from error
    return dict(item)


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()
