"""The border: files that anyone may have written or damaged become values that can be relied on, or one line that says why not.

Descriptions are JSON behind a pydantic model, tables have columns with bounds. Whatever else a file holds, it is refused here:
with its name, the value that cannot be, and what to do.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from spurgekit.errors import InputError, first_line
from spurgekit.text import CONTROL, check_formulas, is_line, printable, shown

if TYPE_CHECKING:
    import pandas as pd

Model = TypeVar("Model", bound=BaseModel)

MOST_BYTES = 64 << 20
"""Of a description: a thousand times as many as the largest that spurgekit writes."""

MOST_POINTS = 200
"""In a line of TOML: tomllib takes minutes over keys of thousands of parts."""

MOST_ROWS = 20_000_000
"""Of a table. Parquet packs equal values so tightly that a small file can claim any number."""

MOST_PX = 16_384
"""Side of a tile. One of uint8 RGB is 800 MB then, and more than any network can be shown."""


# -- values -----------------------------------------------------------------------------------------------------------


def is_inside(name: str) -> bool:
    r"""Whether a relative path stays in the folder that it is seen from, on any system.

    Examples
    --------
    >>> is_inside("1-weed/a.png"), is_inside("../a.png"), is_inside("/a.png"), is_inside("C:\\a.png")
    (True, False, False, False)
    """
    there, windows = PurePosixPath(name), PureWindowsPath(name)
    absolute = there.is_absolute() or bool(windows.drive) or bool(windows.root)
    return bool(there.parts) and not absolute and ".." not in (*there.parts, *windows.parts) and not CONTROL.search(name)


def check_classes(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of classes, of which there are two or more, different lines of text and no formulas.

    Raises
    ------
    InputError
        If they are not.
    """
    if len(classes) < 2:
        raise InputError("name two or more classes, absence first")
    if twice := [name for number, name in enumerate(classes) if name in classes[:number]]:
        raise InputError(f"the class {shown(twice[0])} is named twice; name each once")
    folded = [name.casefold() for name in classes]
    if alike := [classes[folded.index(fold)] for number, fold in enumerate(folded) if fold in folded[:number]]:
        other = next(name for name in classes if name != alike[0] and name.casefold() == alike[0].casefold())
        raise InputError(f"the classes {shown(alike[0])} and {shown(other)} differ in capitals alone; write them alike")
    if odd := [name for name in classes if not is_line(name)]:
        raise InputError(f"the class {shown(odd[0])} is no line of text; call it otherwise")
    check_formulas("the class", classes)
    return classes


def _is_line(text: str) -> str:
    if not is_line(text):
        raise ValueError("this is no line of text")
    return text


def _is_inside(name: str) -> str:
    if not is_inside(name):
        raise ValueError("this leads out of the folder")
    return name


Line = Annotated[str, AfterValidator(_is_line)]
"""A text of one line that is not blank, without control characters."""

RelativePath = Annotated[str, AfterValidator(_is_inside)]
ClassNames = Annotated[tuple[str, ...], AfterValidator(check_classes)]
Side = Annotated[int, Field(ge=1, le=MOST_PX)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Gsd = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
"""Metres a pixel; no camera or satellite that tiles are cut from sees more than a kilometre in one."""

NumberOrNone = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A number that may not be defined: NaN is null in JSON."""


class Described(BaseModel):
    """Base of what a JSON file says: frozen, and nothing but what is declared.

    The class says which version of the layout it knows; files of others are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def known_version(*versions: int) -> Any:
    """Return the type of ``schema_version``, of which one is known, or some."""

    def check(found: int) -> int:
        if found not in versions:
            raise ValueError(f"it is of another spurgekit, and this one knows {' and '.join(map(str, versions))}")
        return found

    return Annotated[int, AfterValidator(check)]


# -- descriptions -----------------------------------------------------------------------------------------------------


def read_utf8(path: Path, remedy: str, *, error: type[InputError] = InputError) -> str:
    """Read a text file.

    Parameters
    ----------
    path : pathlib.Path
    remedy : str
        What to do about a file that cannot be read, for the message.
    error : type
        Of what is raised.

    Raises
    ------
    InputError
        If it cannot be read, is larger than any that spurgekit writes, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as problem:
        raise error(f"{path} cannot be read ({problem.strerror or first_line(problem)}); {remedy}") from problem
    except ValueError as problem:  # a name that cannot be
        raise error(f"{printable(str(path))} is no name of a file; {remedy}") from problem
    if len(data) > MOST_BYTES:
        raise error(f"{path} is larger than {MOST_BYTES >> 20} MiB; {remedy}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(f"{path} is not text in UTF-8 (byte {problem.start:,}); {remedy}") from problem


def read_toml(path: Path, remedy: str) -> dict[str, Any]:
    """Read a TOML file.

    Parameters
    ----------
    path : pathlib.Path
    remedy : str
        What to do about a file that cannot be read, for the message.

    Raises
    ------
    InputError
        If it cannot be read, or is not TOML.
    """
    text = read_utf8(path, remedy)
    if any(line.count(".") > MOST_POINTS for line in text.splitlines()):
        raise InputError(f"{path} has a line with more than {MOST_POINTS} points; no entry needs so many")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of numbers of thousands of digits, of lists in lists in lists
        raise InputError(f"{path} is not valid TOML: {first_line(error)}") from error


def read_described(path: Path, kind: type[Model], remedy: str, *, error: type[InputError] = InputError) -> Model:
    """Read a JSON file behind a pydantic model.

    Parameters
    ----------
    path : pathlib.Path
    kind : type
        Of the model.
    remedy : str
        What to do about a file that says what cannot be, for the message.
    error : type
        Of what is raised.

    Raises
    ------
    InputError
        If it cannot be read, or says what cannot be; the message names the entry and its value.
    """
    try:
        return kind.model_validate_json(read_utf8(path, remedy, error=error), strict=True)
    except ValidationError as problem:
        raise error(f"{path}: {in_words(problem)}; {remedy}") from problem


def in_words(problem: ValidationError) -> str:
    """Return the first of the problems that pydantic found, with the entry and its value.

    >>> class Example(Described):
    ...     size_px: Side
    >>> try:
    ...     Example(size_px=0)
    ... except ValidationError as error:
    ...     in_words(error)
    'size_px is 0: it should be greater than or equal to 1'
    """
    first = problem.errors(include_url=False)[0]
    message = re.sub(r"^Value error, ", "", first["msg"])
    entry = ".".join(part if isinstance(part, str) and part.isidentifier() else shown(part) for part in first["loc"])
    match first["type"]:
        case "json_invalid":
            return f"it is not JSON ({shown(message, quotes=False)})"
        case "missing":
            return f"{entry} is missing"
        case "extra_forbidden":
            return f"there is no entry {entry}"
    said = re.sub(r"^\w+ should", "it should", message)
    return f"{entry} is {shown(first['input'])}: {said}" if entry else said


# -- tables -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts, each a line.

    Attributes
    ----------
    gaps : bool
        Whether some may be missing.
    unique : bool
        Whether no two may be the same.
    paths : bool
        Whether each is a path that stays in the folder of the table.
    optional : bool
        Whether the table may be without the column.
    """

    gaps: bool = False
    unique: bool = False
    paths: bool = False
    optional: bool = False

    @property
    def expected(self) -> str:
        """What each is to be, in words."""
        return "a path within the folder" if self.paths else "a line of text"

    def take(self, column: pd.Series) -> pd.Series:
        """Return the column."""
        return column

    def wrong(self, column: pd.Series) -> NDArray[np.bool_]:
        """Return which values cannot be."""
        is_sound = is_inside if self.paths else is_line
        sound = [isinstance(value, str) and is_sound(value) for value in column.to_numpy(object)]
        return ~_or_gaps(np.array(sound, dtype=bool), column, self.gaps)


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers.

    Attributes
    ----------
    least, most : float
        Bounds, which are within.
    above : float
        Bound that is not.
    whole : bool
        Whether they are whole numbers.
    gaps, unique, optional : bool
        As of :class:`Texts`.
    """

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    whole: bool = False
    gaps: bool = False
    unique: bool = False
    optional: bool = False

    @property
    def expected(self) -> str:
        """What each is to be, in words.

        >>> Numbers(least=1, whole=True).expected, Numbers(above=0, most=1000).expected, Numbers().expected
        ('a whole number from 1', 'a number above 0 up to 1000', 'a number')
        """
        words = "a whole number" if self.whole else "a number"
        words += (
            f" from {self.least:g}" if self.least > -math.inf else f" above {self.above:g}" if self.above > -math.inf else ""
        )
        return words + (f" {'to' if self.least > -math.inf else 'up to'} {self.most:g}" if self.most < math.inf else "")

    def take(self, column: pd.Series) -> pd.Series:
        """Return the column as numbers: of int64 where they are whole and none is missing, of Int64 where some are."""
        import pandas as pd

        numbers = _as_numbers(column)
        return numbers if not self.whole else pd.Series(numbers, dtype="Int64" if numbers.isna().any() else "int64")

    def wrong(self, column: pd.Series) -> NDArray[np.bool_]:
        """Return which values cannot be."""
        numbers = _as_numbers(column).to_numpy()
        sound = (self.least <= numbers) & (numbers <= self.most) & (self.above < numbers) & np.isfinite(numbers)
        if self.whole:
            sound &= (numbers == np.floor(numbers)) & (abs(numbers) < 2**53)
        return ~_or_gaps(sound, column, self.gaps)


Columns = Mapping[str, Texts | Numbers]
"""What the columns of a table are to be, by name."""


def _or_gaps(sound: NDArray[np.bool_], column: pd.Series, gaps: bool) -> NDArray[np.bool_]:
    """Return which values are sound, or missing where that is allowed."""
    return sound | column.isna().to_numpy(bool) if gaps else sound


def _as_numbers(column: pd.Series) -> pd.Series:
    """Return a column as float64, NaN where a value is no number."""
    import pandas as pd

    if column.dtype == object:
        column = column.where(~column.map(lambda value: isinstance(value, (bool, bytes, list, dict))))
    if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_string_dtype(column)) or column.dtype == bool:
        return pd.Series(math.nan, column.index)
    return pd.to_numeric(column, errors="coerce").astype("float64")


def read_parquet(path: Path, remedy: str, *, places: bool = False) -> pd.DataFrame:
    """Read a Parquet file.

    Parameters
    ----------
    path : pathlib.Path
    remedy : str
        What to do about a file that cannot be read, for the message.
    places : bool
        Whether it is GeoParquet, of which a GeoDataFrame becomes.

    Raises
    ------
    InputError
        If it cannot be read, or no table of a size that can be.
    """
    from pyarrow import parquet

    what = "GeoParquet" if places else "Parquet"
    read = _reader(places=places)
    try:
        rows = parquet.read_metadata(path).num_rows
        table = read(path) if 0 <= rows <= MOST_ROWS else None
    except MemoryError:
        raise
    except Exception as problem:  # of a damaged file each library on the way raises errors of its own
        why = shown(first_line(problem), quotes=False)
        raise InputError(f"{path} is not a {what} file ({why}); {remedy}") from problem
    if table is None:
        raise InputError(f"{path} claims to have {rows:,} rows; {remedy}")
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise InputError(f"{path} has two columns {shown(twice)}; {remedy}")
    return table


def _reader(*, places: bool) -> Callable[[Path], pd.DataFrame]:
    import geopandas as gpd
    import pandas as pd
    import shapely

    if not places:
        return pd.read_parquet  # type: ignore[no-any-return]

    def read(path: Path) -> gpd.GeoDataFrame:
        table = gpd.read_parquet(path)
        bounds = shapely.bounds(table.geometry.to_numpy())
        if (~(abs(bounds) < math.inf).all(axis=1) & table.geometry.notna().to_numpy()).any():
            raise ValueError("a place is not a number")
        return table

    return read


def take_columns(table: pd.DataFrame, columns: Columns, path: Path, remedy: str) -> pd.DataFrame:
    """Return a table whose columns are what they are to be; others it keeps as they are.

    Parameters
    ----------
    table : pandas.DataFrame
    columns : mapping of str to Texts or Numbers
    path : pathlib.Path
        Of its file, for messages.
    remedy : str
        What to do about a table that cannot be, for messages.

    Raises
    ------
    InputError
        If a column is missing, or a value cannot be.
    """
    if missing := [name for name, column in columns.items() if name not in table and not column.optional]:
        raise InputError(f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; {remedy}")
    taken: dict[str, pd.Series] = {}
    for name, column in columns.items():
        if name not in table:
            continue
        wrong = column.wrong(table[name])
        if wrong.any():
            row = int(wrong.argmax())
            value = table[name].iloc[row]
            value = value.item() if hasattr(value, "item") else value  # of NumPy
            said = "missing" if bool(table[name].isna().iloc[row]) else shown(value)
            raise InputError(f"{path}: {name} of row {row + 1:,} is {said}, not {column.expected}; {remedy}")
        if column.unique and (twice := table[name].duplicated()).any():
            raise InputError(f"{path} has the {name} {shown(table[name][twice].iloc[0])} twice; {remedy}")
        taken[name] = column.take(table[name])
    return table.assign(**taken)
