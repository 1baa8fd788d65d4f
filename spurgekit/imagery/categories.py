"""Names that a file gives the values of a band: GDAL's categories, or the raster attribute table that QGIS writes."""

from __future__ import annotations

from contextlib import suppress

from rasterio.io import DatasetReader

from spurgekit.imagery.views import described

VALUE, LEAST, NAME = "5", "3", "2"
"""GDAL's usages of columns of an attribute table: a value, the least of several, its name (GDALRATFieldUsage)."""


def read_categories(dataset: DatasetReader) -> dict[int, str]:
    """Return the names of the values of the first band, as far as the file has them.

    Parameters
    ----------
    dataset : rasterio.DatasetReader

    Returns
    -------
    dict of str by int
    """
    band = described(dataset).find("VRTRasterBand")
    if band is None:
        return {}
    if names := [(category.text or "").strip() for category in band.findall("CategoryNames/Category")]:
        return {value: name for value, name in enumerate(names) if name}
    usages = [field.findtext("Usage") for field in band.findall("GDALRasterAttributeTable/FieldDefn")]
    value = next((usages.index(usage) for usage in (VALUE, LEAST) if usage in usages), None)
    if value is None or NAME not in usages:
        return {}
    found = {}
    for row in band.findall("GDALRasterAttributeTable/Row"):
        cells = [(cell.text or "").strip() for cell in row.findall("F")]
        with suppress(ValueError, IndexError, OverflowError):  # values that are no whole numbers stand for no code
            if name := cells[usages.index(NAME)]:
                found[int(float(cells[value]))] = name
    return found
