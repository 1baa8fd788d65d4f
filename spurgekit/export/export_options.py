"""How to export a map."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Annotated

from spurgekit.errors import InputError
from spurgekit.export.recipients import RECIPIENTS
from spurgekit.options import Options
from spurgekit.record_table import RecordTable


@dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """How to export a map, and for whom.

    Attributes
    ----------
    recipient : str
        Whom it is for.
    join_m : float
        How far apart cells of a patch may be, in metres; 0 joins those that touch.
    classes : tuple of str, optional
        Class to export; several by repeating it. Default: all but the background.
    swath_m : float, optional
        For a sprayer: width of its swath in metres, half of which is sprayed around cells.
    rate_l_ha : float, optional
        For a sprayer: litres per hectare, which the product's label says.
    zones : int
        For a sprayer: most zones that its display takes; the nearest are joined until there are no more.
    rx_folder : bool
        For a sprayer: put the shapefile into a folder Rx of its archive, as some displays want it.
    record : RecordTable, optional
        For records: what they say besides what is on the map.
    flown : datetime.date, optional
        For records: day of the flight.
    survey : str, optional
        For records: name of the survey, which is that of the dataset, too. Default: the map's.
    reviewed : tuple of pathlib.Path
        For records: what people found in places: a folder of 'spurgekit check', one of tiles or a dataset that was reviewed, or
        a table of places with a column label; several by repeating it. Default: those that lie where commands write them.
    unreviewed : bool
        For records: record what nobody reviewed, too, and say so in the records.
    imagery : pathlib.Path, optional
        For a phone: the image of the site, or its folder. Default: looked for where the map says.
    page_mb : float
        For a phone: most megabytes of the page, from which follows how fine its picture is.
    """

    recipient: Annotated[str, RECIPIENTS] = "crew"
    join_m: float = 1.0
    classes: tuple[str, ...] = ()
    swath_m: float | None = None
    rate_l_ha: float | None = None
    zones: int = 100
    rx_folder: bool = False
    record: RecordTable | None = None
    flown: dt.date | None = None
    survey: str | None = None
    reviewed: tuple[Path, ...] = ()
    unreviewed: bool = False
    imagery: Path | None = None
    page_mb: float = 15.0

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if not (self.join_m >= 0 and isfinite(self.join_m)):
            raise InputError(f"`join_m={self.join_m}` is no distance; pass metres, 0 or more")
        for name, what in (
            ("swath_m", "metres"),
            ("rate_l_ha", "litres per hectare"),
            ("zones", "1 or more"),
            ("page_mb", "MB"),
        ):
            value = getattr(self, name)
            if value is not None and not (value > 0 and isfinite(value)):
                raise InputError(f"`{name}={value}` cannot be; pass {what}" + (" above 0" if name != "zones" else ""))
        mine = RECIPIENTS[self.recipient]
        if missing := [name for name in mine.needs if getattr(self, name) is None]:
            raise InputError(f"`recipient={mine.name}` needs {' and '.join(f'`{name}`' for name in missing)}")
        taken = {name for one in RECIPIENTS.values() for name in one.takes} - set(mine.takes)
        for entry in fields(self):
            if entry.name in taken and getattr(self, entry.name) != entry.default:
                theirs = " or ".join(one.name for one in RECIPIENTS.values() if entry.name in one.takes)
                raise InputError(f"`{entry.name}` is for `recipient={theirs}`; drop it, or pass that")

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it names."""
        return self.reviewed if self.imagery is None else (*self.reviewed, self.imagery)
