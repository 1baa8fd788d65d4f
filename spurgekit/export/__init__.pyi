from .export_options import ExportOptions
from .exporting import ExportReport, export_map
from .patches import Patches, join_patches
from .recipients import RECIPIENTS, NothingToExportError, Recipient

__all__ = [
    "RECIPIENTS",
    "ExportOptions",
    "ExportReport",
    "NothingToExportError",
    "Patches",
    "Recipient",
    "export_map",
    "join_patches",
]
