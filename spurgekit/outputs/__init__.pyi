from .checksums import CHECKSUMS, add_checksums, note_checksums
from .files import check_files, hidden_beside, output_file, save_tensors
from .folders import (
    MARK,
    SETTINGS,
    check_begun,
    check_output,
    check_resumable,
    clear,
    note_settings,
    output_folder,
    partial_folder,
    resolved,
    resumable_folder,
    settings_begun,
)
from .lock import output_lock
from .provenance import PROVENANCE, Kind, add_provenance, fingerprint, input_files, read_provenance, versions

__all__ = [
    "CHECKSUMS",
    "MARK",
    "PROVENANCE",
    "SETTINGS",
    "Kind",
    "add_checksums",
    "add_provenance",
    "check_begun",
    "check_files",
    "check_output",
    "check_resumable",
    "clear",
    "fingerprint",
    "hidden_beside",
    "input_files",
    "note_checksums",
    "note_settings",
    "output_file",
    "output_folder",
    "output_lock",
    "partial_folder",
    "read_provenance",
    "resolved",
    "resumable_folder",
    "save_tensors",
    "settings_begun",
    "versions",
]
