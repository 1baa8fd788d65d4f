"""How QGIS shows a map when it is opened: a style file beside the raster, a style inside the GeoPackage."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from spurgekit.imagery.site_picture import Colour
from spurgekit.maps.colours import COLOURS, class_colour
from spurgekit.vectors import FIXED_DATE

RASTER_STYLE = """<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22" styleCategories="Symbology">
  <pipe>
    <rasterrenderer type="singlebandpseudocolor" band="{band}" opacity="0.85" alphaBand="-1"
        classificationMin="0" classificationMax="1">
      <rasterTransparency/>
      <rastershader>
        <colorrampshader colorRampType="INTERPOLATED" classificationMode="1" clip="0" minimumValue="0" maximumValue="1">
          <item value="0" alpha="0" color="{colour}" label="0 %"/>
          <item value="0.25" alpha="40" color="{colour}" label="25 %"/>
          <item value="0.5" alpha="110" color="{colour}" label="50 %"/>
          <item value="1" alpha="190" color="{colour}" label="100 %"/>
        </colorrampshader>
      </rastershader>
    </rasterrenderer>
  </pipe>
</qgis>
"""

VECTOR_STYLE = """<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22" styleCategories="Symbology">
  <renderer-v2 type="categorizedSymbol" attr="class" enableorderby="0" symbollevels="0" forceraster="0">
    <categories>
{categories}
    </categories>
    <symbols>
{symbols}
    </symbols>
  </renderer-v2>
</qgis>
"""

CATEGORY = '      <category value={name} symbol="{number}" label={name} render="true"/>'

SYMBOL = """      <symbol name="{number}" type="fill" alpha="1" clip_to_extent="1" force_rhr="0">
        <layer class="SimpleFill" enabled="1" locked="0" pass="0">
          <Option type="Map">
            <Option name="color" type="QString" value="{rgb},60"/>
            <Option name="outline_color" type="QString" value="{rgb},255"/>
            <Option name="outline_style" type="QString" value="solid"/>
            <Option name="outline_width" type="QString" value="0.4"/>
            <Option name="outline_width_unit" type="QString" value="MM"/>
            <Option name="style" type="QString" value="solid"/>
          </Option>
        </layer>
      </symbol>"""


def write_raster_style(path: Path, *, band: int, colour: Colour = COLOURS[0]) -> None:
    """Write a style of ``presence.tif``: a band from 0 to 1 in a colour, by default of the second class; where 0, transparent.

    Parameters
    ----------
    path : pathlib.Path
    band : int
        Number of the band, counted from 1.
    colour : tuple of int
        Red, green and blue.
    """
    hexadecimal = "#{:02x}{:02x}{:02x}".format(*colour)
    path.write_text(RASTER_STYLE.format(band=band, colour=hexadecimal), encoding="utf-8", newline="\n")


def vector_style(classes: Sequence[str]) -> str:
    """Return the style of polygons with a column ``class``, as QGIS stores it; the first class is the background."""
    numbers = range(1, len(classes))
    return VECTOR_STYLE.format(
        categories="\n".join(CATEGORY.format(name=quoteattr(classes[i]), number=i) for i in numbers),
        symbols="\n".join(SYMBOL.format(number=i, rgb=",".join(map(str, class_colour(i)))) for i in numbers),
    )


def store_vector_style(geopackage: Path, layer: str, classes: Sequence[str]) -> None:
    """Store the style of the polygons in their GeoPackage, in the table ``layer_styles`` where QGIS looks for it."""
    style = vector_style(classes)
    with closing(sqlite3.connect(geopackage)) as database, database:
        database.execute(
            "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), "
            "f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, "
            "styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), "
            "update_time DATETIME)"
        )
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, styleQML, "
            "styleSLD, useAsDefault, description, owner, update_time) "
            "VALUES ('', '', ?, 'geom', 'presence', ?, '', 1, ?, '', ?)",
            (layer, style, escape(f"presence of {', '.join(classes[1:])}"), FIXED_DATE),
        )
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?)",
            (FIXED_DATE,),
        )
