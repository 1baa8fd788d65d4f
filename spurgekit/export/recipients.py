"""Whom a map is exported for: each recipient is a record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spurgekit.errors import InputError
from spurgekit.outputs import Kind
from spurgekit.registry import Registry

if TYPE_CHECKING:
    from spurgekit.export.export_options import ExportOptions
    from spurgekit.export.map_folder import MapPolygons
    from spurgekit.export.patches import Patches


class NothingToExportError(InputError):
    """A map has no patches of the classes that are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Who acts on a map, and what they take of it.

    Attributes
    ----------
    name : str
    description : str
        Who it is, and what they get.
    kind : str
        What the folder holds, for its provenance.
    write : callable
        ``write(folder, found, patches, options)`` writes the files for the patches of a map, in its CRS, and returns entries
        for ``summary.json``; those of its entry ``notes`` are said, too.
    takes : tuple of str
        Options of :class:`~spurgekit.export.export_options.ExportOptions` that are for this one.
    needs : tuple of str
        Those of them that have to be given.
    """

    name: str
    description: str
    kind: Kind
    write: Callable[[Path, MapPolygons, Patches, ExportOptions], dict[str, Any]]
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def _for_crew(folder: Path, found: MapPolygons, patches: Patches, options: ExportOptions) -> dict[str, Any]:
    from spurgekit.export.crew import write_for_crew

    return write_for_crew(folder, found.name, patches, options)


def _for_sprayer(folder: Path, found: MapPolygons, patches: Patches, options: ExportOptions) -> dict[str, Any]:
    from spurgekit.export.sprayer import write_for_sprayer

    return write_for_sprayer(folder, found.name, patches, options)


def _for_phone(folder: Path, found: MapPolygons, patches: Patches, options: ExportOptions) -> dict[str, Any]:
    from spurgekit.export.phone import write_for_phone

    return write_for_phone(folder, found, patches, options)


RECIPIENTS = Registry(
    "recipient of an export",
    [
        Recipient(
            name="crew",
            description="people with a phone or a GPS: waypoints, outlines, a table",
            kind="crew export",
            write=_for_crew,
        ),
        Recipient(
            name="sprayer",
            description="a machine that sprays by map: a prescription of zones with one rate, and a boundary",
            kind="sprayer export",
            write=_for_sprayer,
            takes=("swath_m", "rate_l_ha", "zones", "rx_folder"),
            needs=("swath_m", "rate_l_ha"),
        ),
        Recipient(
            name="phone",
            description="a phone without a network, and QGIS: the map on its image as a page, as tiles, and as a project",
            kind="phone export",
            write=_for_phone,
            takes=("imagery", "page_mb"),
        ),
    ],
)
"""All recipients; yours is one more: ``RECIPIENTS.register(Recipient(...))``."""
