from .edits import Edit, EditUnit, Rendered, RenderOptions
from .latent_model import Backbone, BackboneInfo
from .load import check_backbone, load_backbone
from .render import Renderer

__all__ = [
    "Backbone",
    "BackboneInfo",
    "Edit",
    "EditUnit",
    "RenderOptions",
    "Rendered",
    "Renderer",
    "check_backbone",
    "load_backbone",
]
