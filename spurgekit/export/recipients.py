"""Whom a map is exported for: each recipient is a record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spurgekit.errors import InputError
from spurgekit.outputs import Kind
from spurgekit.registry import Registry
from spurgekit.text import counted

if TYPE_CHECKING:
    from spurgekit.export.export_options import ExportOptions
    from spurgekit.export.exporting import ExportReport
    from spurgekit.export.map_folder import MapPolygons
    from spurgekit.export.patches import Patches
    from spurgekit.export.records import Records


class NothingToExportError(InputError):
    """A map has no patches of the classes that are asked for, or none that may be recorded."""


def patches_of(report: ExportReport) -> str:
    """Return how many patches there are, in words."""
    return "1 patch" if report.patches == 1 else f"{report.patches:,} patches"


def describe_patches(report: ExportReport) -> Iterator[str]:
    """Yield a line on the patches that were exported."""
    yield f"{patches_of(report)}: {report.area_m2:,.1f} m2 mapped on {report.gross_m2:,.1f} m2 of ground"


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
        ``write(folder, mapped, patches, options)`` writes the files for the patches of a map, in its CRS, and returns entries
        for ``summary.json``, of which ``notes`` are said, too.
    gather : callable, optional
        ``gather(mapped, patches, options)`` makes what is to be written, before there is a folder, where something may be
        refused on the way; ``write`` gets that in place of the patches.
    describe : callable
        ``describe(report)`` yields lines for people on what was made, but for its notes and files.
    takes : tuple of str
        Options of :class:`~spurgekit.export.export_options.ExportOptions` that are for this one.
    needs : tuple of str
        Those of them that have to be given.
    may_be_bare : bool
        Whether it takes a map without patches.
    """

    name: str
    description: str
    kind: Kind
    write: Callable[[Path, MapPolygons, Any, ExportOptions], dict[str, Any]]
    gather: Callable[[MapPolygons, Patches, ExportOptions], Any] | None = None
    describe: Callable[[ExportReport], Iterator[str]] = describe_patches
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    may_be_bare: bool = False


def _for_crew(folder: Path, mapped: MapPolygons, patches: Patches, options: ExportOptions) -> dict[str, Any]:
    from spurgekit.export.crew import write_for_crew

    return write_for_crew(folder, mapped.name, patches, options)


def _for_sprayer(folder: Path, mapped: MapPolygons, patches: Patches, options: ExportOptions) -> dict[str, Any]:
    from spurgekit.export.sprayer import write_for_sprayer

    return write_for_sprayer(folder, mapped.name, patches, options)


def _describe_zones(report: ExportReport) -> Iterator[str]:
    yield from describe_patches(report)
    found = report.details
    yield (
        f"{counted(found['zones'], 'zone')}: {found['treated_m2']:,.1f} m2 ({found['treated_ha']:.4f} ha) to treat, "
        f"of which {found['joining_m2']:,.1f} m2 join zones; {found['litres']:,.2f} litres at {found['rate_l_ha']:g} l/ha"
    )


def _gather_records(mapped: MapPolygons, patches: Patches, options: ExportOptions) -> Records:
    from spurgekit.export.gathering import gather_records

    return gather_records(mapped, patches, options)


def _for_records(folder: Path, mapped: MapPolygons, records: Records, options: ExportOptions) -> dict[str, Any]:  # noqa: ARG001
    from spurgekit.export.darwin_core import write_darwin_core
    from spurgekit.export.weed_databases import write_eddmaps, write_naisma

    for write in (write_darwin_core, write_naisma, write_eddmaps):
        write(folder, records)
    return records.summary


def _describe_records(report: ExportReport) -> Iterator[str]:
    found = report.details
    kept, missed = found["patches_recorded"], counted(found["missed_by_the_map"], "place")
    absences = counted(found["absences"], "absence")
    yield f"{counted(found['records'], 'record')}: {kept:,} of {patches_of(report)}, {missed} that the map missed, {absences}"


def _for_phone(folder: Path, mapped: MapPolygons, patches: Patches, options: ExportOptions) -> dict[str, Any]:
    from spurgekit.export.phone import write_for_phone

    return write_for_phone(folder, mapped, patches, options)


def _describe_picture(report: ExportReport) -> Iterator[str]:
    yield from describe_patches(report)
    picture, sizes = report.details["picture"], report.details["bytes"]
    yield (
        f"picture of {picture['width']:,} x {picture['height']:,} px, {picture['cm_a_pixel']:.3g} cm a pixel; "
        f"{sum(sizes.values()) / 1e6:,.1f} MB in all, {sizes['map.html'] / 1e6:,.1f} of them map.html"
    )


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
            describe=_describe_zones,
            takes=("swath_m", "rate_l_ha", "zones", "rx_folder"),
            needs=("swath_m", "rate_l_ha"),
        ),
        Recipient(
            name="records",
            description="weed databases: what people reviewed, as Darwin Core and in the columns of NAISMA and EDDMapS",
            kind="records export",
            write=_for_records,
            gather=_gather_records,
            describe=_describe_records,
            takes=("record", "flown", "survey", "reviewed", "unreviewed"),
            may_be_bare=True,
        ),
        Recipient(
            name="phone",
            description="a phone without a network, and QGIS: the map on its image as a page, as tiles, and as a project",
            kind="phone export",
            write=_for_phone,
            describe=_describe_picture,
            takes=("imagery", "page_mb"),
        ),
    ],
)
"""All recipients; yours is one more: ``RECIPIENTS.register(Recipient(...))``."""
