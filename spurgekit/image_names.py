"""Names of images: files of this machine, and what else GDAL reads by a name.

An address, a file within an archive and one of several images within a file are no paths: as such they would lose a slash
(``https:/``), and be looked for in folders.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath

_OTHER = re.compile(r"/vsi\w+[/?]|[A-Za-z][\w+.-]+://|\w{2,}:")
"""How names begin that are no paths: GDAL's virtual file systems, addresses, drivers' names of parts of files."""

_PREFIXES = re.compile(r"(?:/vsi\w+/|[A-Za-z][\w+.-]+://|\w{2,}:(?:\d+:)?)+")
_ADDRESS = re.compile(r"/vsi|[A-Za-z][\w+.-]+://")
_ELSEWHERE = re.compile(r"/vsi(?:curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)|(?:https?|ftp|s3|gs|az|oss)://")
_ENDS = re.compile(r"[/!:]|$")


class GdalName(str):
    """The name of an image that is no path.

    Examples
    --------
    >>> name = GdalName("https://example.org/flights/site.tif?version=2")
    >>> name.name, name.stem
    ('site.tif', 'site')
    >>> GdalName('NETCDF:"flights/june.nc":ortho').stem
    'june-ortho'
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        """Its last part, for titles and tables."""
        if _ADDRESS.match(self):
            return re.split(r"[/!]", re.split(r"[?#]", self)[0].rstrip("/"))[-1] or str(self)
        return ":".join(PurePath(part).name for part in self._parts)

    @property
    def stem(self) -> str:
        """Its last part without a suffix, which outputs are called by."""
        if _ADDRESS.match(self):
            return PurePath(self.name).stem
        return "-".join(PurePath(part).stem for part in self._parts)

    @property
    def file(self) -> Path | None:
        """The file of this machine that it is in; None where it is elsewhere."""
        if _ELSEWHERE.search(self):
            return None
        rest = re.sub(r'["{}]', "", _PREFIXES.sub("", self, count=1))
        candidates = (Path(rest[: end.start()]) for end in _ENDS.finditer(rest) if end.start())
        return next((path for path in candidates if path.is_file()), None)

    @property
    def _parts(self) -> list[str]:
        """What a driver's name of a part of a file is made of, without the driver."""
        return [part for part in re.split(r'[:"]+', self)[1:] if part]


ImageName = Path | GdalName
"""How an image is named."""


def image_name(name: str | os.PathLike[str]) -> ImageName:
    """Return what a user calls an image by as a path, or as a name that is none. A file that is there is always a path.

    >>> image_name("flights/site.tif"), image_name("s3://bucket/site.tif")
    (PosixPath('flights/site.tif'), 's3://bucket/site.tif')
    """
    if isinstance(name, str) and _OTHER.match(name) and not os.path.exists(name):  # noqa: PTH110 - a name may hold what paths cannot
        return GdalName(name)
    return Path(name)


def local_file(name: ImageName) -> Path | None:
    """Return the file of this machine that an image is, or is in."""
    return name.file if isinstance(name, GdalName) else name
