"""A file seen otherwise than it says: its palette as colours, another value as "no data". GDAL does it while it reads."""

from __future__ import annotations

from copy import deepcopy
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader, MemoryFile

from spurgekit.errors import ImageryError
from spurgekit.image_names import ImageName
from spurgekit.imagery.gdal_warnings import without_warnings

COLOURS = ("Red", "Green", "Blue", "Alpha")


def with_nodata(path: ImageName, dataset: DatasetReader, nodata: float, alpha: int | None) -> DatasetReader:
    """Return an image in which a value means that there is no data, whatever the file says of masks, alpha and nodata.

    Parameters
    ----------
    path : path or GdalName
        For messages.
    dataset : rasterio.DatasetReader
    nodata : float
    alpha : int or None
        The band that is left out.

    Raises
    ------
    ImageryError
        If no pixel can have that value.
    """
    for kind in set(dataset.dtypes):
        if np.dtype(kind).kind in "iu" and not (
            np.iinfo(kind).min <= nodata <= np.iinfo(kind).max and float(nodata).is_integer()
        ):
            raise ImageryError(f"{path} holds {kind}, so that no pixel is `nodata={nodata:g}`; pass a value that marks no data")
    root = described(dataset)
    for mask in root.findall("MaskBand"):
        root.remove(mask)
    bands = root.findall("VRTRasterBand")
    if alpha is not None:
        root.remove(bands.pop(alpha - 1))
    for number, band in enumerate(bands, 1):
        band.set("band", str(number))
        for name in ("MaskBand", "NoDataValue"):
            for old in band.findall(name):
                band.remove(old)
        ET.SubElement(band, "NoDataValue").text = repr(float(nodata))
    return _opened(root)


def with_measured(dataset: DatasetReader, band: int) -> DatasetReader:
    """Return an image whose alpha band is a band like others."""
    root = described(dataset)
    colour = root.findall("VRTRasterBand")[band - 1].find("ColorInterp")
    if colour is not None:
        colour.text = "Undefined"
    return _opened(root)


def expanded(dataset: DatasetReader) -> DatasetReader:
    """Return an image of palette indexes as the red, green and blue that they stand for, and alpha where some say no data."""
    table = dataset.colormap(1)
    clear = {index for index, colour in table.items() if colour[3] < 128}
    if dataset.nodata is not None:
        clear.add(int(dataset.nodata))
    root = described(dataset)
    (band,) = root.findall("VRTRasterBand")
    root.remove(band)
    for number, colour in enumerate(COLOURS if clear else COLOURS[:3]):
        values = {
            index: (0 if index in clear else 255) if colour == "Alpha" else parts[number] for index, parts in table.items()
        }
        one = deepcopy(band)
        one.set("band", str(number + 1))
        one.set("dataType", "Byte")
        for part in list(one):
            if part.tag != "SimpleSource" and part.tag != "ComplexSource":
                one.remove(part)
        ET.SubElement(one, "ColorInterp").text = colour
        for source in one.iter("SimpleSource"):
            source.tag = "ComplexSource"
            ET.SubElement(source, "LUT").text = ",".join(f"{index}:{value}" for index, value in sorted(values.items()))
        root.append(one)
    return _opened(root)


def described(dataset: DatasetReader) -> ET.Element:
    """Return GDAL's description of an image, which names the file."""
    with MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(dataset, memory.name, driver="VRT")
        return ET.fromstring(memory.read())


def _opened(root: ET.Element) -> DatasetReader:
    with without_warnings(NotGeoreferencedWarning):
        return rasterio.open(ET.tostring(root, encoding="unicode"))
