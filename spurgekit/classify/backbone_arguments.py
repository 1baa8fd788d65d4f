"""What may be passed on to timm when it makes a backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from spurgekit.errors import InputError, known_names
from spurgekit.reading import Share, in_words
from spurgekit.text import shown

Word = Annotated[str, Field(pattern=r"^[a-z0-9_]*$", max_length=40)]
Few = Annotated[int, Field(ge=0, le=1024)]

ARGUMENTS: Mapping[str, Any] = {
    "aa_layer": Word,
    "act_layer": Word,
    "attn_drop_rate": Share,
    "bn_eps": Annotated[float, Field(gt=0, le=1)],
    "bn_momentum": Share,
    "class_token": bool,
    "drop_path_rate": Share,
    "drop_rate": Share,
    "dynamic_img_pad": bool,
    "dynamic_img_size": bool,
    "global_pool": Word,
    "in_chans": Few,
    "no_embed_class": bool,
    "norm_layer": Word,
    "output_stride": Literal[8, 16, 32],
    "pad_type": Word,
    "patch_drop_rate": Share,
    "patch_size": Annotated[int, Field(ge=2, le=128)],
    "pos_drop_rate": Share,
    "proj_drop_rate": Share,
    "qk_norm": bool,
    "reg_tokens": Few,
    "window_size": Few,
}
"""The arguments of ``timm.create_model`` that are passed on to it, and the type of each, whether a person gives them or a
``model.json``. Others are refused: some load files (``checkpoint_path``, ``pretrained_cfg``), pickles among them, and a model
folder may be anybody's."""


def check_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments for timm, after a look whether they are ones of :data:`ARGUMENTS`.

    Raises
    ------
    InputError
        If they are not, or have values that they cannot have.
    """
    for name, value in arguments.items():
        if name not in ARGUMENTS:
            raise InputError(f"{shown(name)} is not passed on to timm{known_names(name, ARGUMENTS)}")
        try:
            TypeAdapter(ARGUMENTS[name]).validate_python(value, strict=True)
        except ValidationError as error:
            raise InputError(f"{name}={shown(value)} cannot be: {in_words(error)}") from error
    return dict(arguments)


BackboneArguments = Annotated[dict[str, Any], AfterValidator(check_arguments)]
