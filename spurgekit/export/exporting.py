"""``spurgekit export``: a map in, a folder out for those who act on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spurgekit.export.export_options import ExportOptions
from spurgekit.export.map_folder import read_map
from spurgekit.export.patches import join_patches
from spurgekit.export.recipients import RECIPIENTS
from spurgekit.outputs import output_folder

SUMMARY = "summary.json"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was exported.

    Attributes
    ----------
    folder : pathlib.Path
    recipient : str
    patches : int
    area_m2 : float
        Of their cells.
    gross_m2 : float
        Of their outlines.
    details : dict
        What ``summary.json`` says for this recipient alone: of a sprayer ``zones``, ``treated_m2``, ``litres`` and more, of
        records how many there are.
    files : tuple of str
        Those to hand on.
    notes : tuple of str
        What is doubtful about where the patches lie, and what was left out.
    """

    folder: Path
    recipient: str
    patches: int
    area_m2: float
    gross_m2: float
    details: dict[str, Any]
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()


def export_map(
    map_folder: str | Path, out: str | Path, options: ExportOptions | None = None, *, overwrite: bool = False
) -> ExportReport:
    """Export the patches of a map for those who act on it: in WGS 84, or as a map that needs no network.

    Polygons are taken as ``presence.gpkg`` has them: what was deleted from it in QGIS is not exported.

    Parameters
    ----------
    map_folder : str or pathlib.Path
        That :func:`map_site` made.
    out : str or pathlib.Path
        Folder to make; it appears only when all is done.
    options : ExportOptions, optional
    overwrite : bool
        Replace a folder that spurgekit made before for the same recipient.

    Returns
    -------
    ExportReport

    Raises
    ------
    NothingToExportError
        If the map has no patches of the classes that are asked for, or none that may be recorded.
    InputError
        If the folder holds no map, or one that has no such class or no place on Earth, or for a phone the image that is named
        shows nothing of the map.
    OutputExistsError
        If the folder is there already.

    Examples
    --------
    >>> import spurgekit
    >>> report = spurgekit.export_map("maps/site", "exports/site/crew")  # doctest: +SKIP
    >>> report.patches, report.files[0]  # doctest: +SKIP
    (53, 'patches.gpx')
    """
    options, map_folder = options or ExportOptions(), Path(map_folder)
    recipient = RECIPIENTS[options.recipient]
    found = read_map(map_folder, options.classes, may_be_bare=recipient.may_be_bare)
    patches = join_patches(found.rows, options.join_m).of(*found.classes)
    made = recipient.gather(found, patches, options) if recipient.gather else patches
    area_m2, gross_m2 = (round(float(patches.rows[name].sum()), 3) for name in ("area_m2", "gross_m2"))
    with output_folder(
        out, recipient.kind, parameters=options.parameters(), inputs=[map_folder, *options.files], overwrite=overwrite
    ) as folder:
        details = recipient.write(folder, found, made, options)
        files = tuple(sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")))
        summary = {
            "schema_version": 1,
            "map": found.name,
            "classes": found.classes,
            "join_m": options.join_m,
            "patches": len(patches),
            "area_m2": area_m2,
            "gross_m2": gross_m2,
            **details,
        }
        text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
        (folder / SUMMARY).write_text(text, encoding="utf-8", newline="\n")
    notes = (*found.notes, *details.get("notes", ()))
    return ExportReport(Path(out), recipient.name, len(patches), area_m2, gross_m2, details, files, notes)
