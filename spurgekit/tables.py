"""Tables that people wrote: text, until what a column means makes it numbers.

A plot may be called 01 or 1E1 and a class None, so that a table is read as the text that it is. Whoever knows what a column
means asks for its numbers.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from spurgekit.errors import InputError, first_line
from spurgekit.text import check_formulas, counted

SEPARATORS = (",", ";", "\t", "|")
"""What may part the columns of a table, the first of those that its header has most of."""

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # which begins as UTF-16 does
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Bytes at the start of a text that say how it is encoded."""

WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How spreadsheets begin that are not saved as text."""

MISSING = {"", "na", "n/a", "nan", "nat", "<na>", "none", "null", "-", "--", "?"}
"""What stands where a number is not known, in any case."""

LARGEST = 2.0**53
"""Whole numbers are exact below it."""

LONGEST = 40
"""Characters of a number or an angle."""

_THOUSANDS = re.compile(r"(?<=\d)[ '](?=\d{3}(?!\d))")
_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_COMMA_OR_THOUSANDS = re.compile(r"[+-]?\d{1,3},\d{3}", re.ASCII)

_PART = r"(\d+(?:[.,]\d+)?)\s*"
_ANGLE = re.compile(rf"([NSEW])?\s*([+-])?{_PART}(°)?\s*(?:{_PART}'?\s*(?:{_PART}\"?\s*)?)?([NSEW])?", re.IGNORECASE | re.ASCII)
_SIGNS = str.maketrans("−º˚′’´″”“\u00a0\u202f", "-°°'''\"\"\"  ")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table of text.

    Attributes
    ----------
    rows : pandas.DataFrame
        Text without spaces around it, missing where a cell is empty; under the names of the columns.
    notes : tuple of str
        What was assumed of the file.
    """

    rows: pd.DataFrame
    notes: tuple[str, ...] = ()


def read_text(file: Path) -> tuple[str, tuple[str, ...]]:
    """Return the text of a file, and what was assumed of it.

    UTF-8, or what a mark at its start says; what is not UTF-8 is taken for Windows-1252.

    Raises
    ------
    InputError
        If it is missing or no text.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    if data.startswith(WORKBOOKS):
        raise InputError(f"{file} is a workbook or an archive, not a text; save the sheet as CSV (UTF-8)")
    encoding = next((encoding for mark, encoding in MARKS.items() if data.startswith(mark)), None)
    for name in [encoding] if encoding else ["utf-8", "cp1252"]:
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        if name != "cp1252":
            return text, ()
        word = re.search(r"\S{0,20}[^\x00-\x7f]\S{0,20}", text)
        return text, (f"{file.name} is not UTF-8 and is read as Windows-1252, {word[0] if word else ''!r} for one",)
    raise InputError(f"{file} is not a text that can be read; save it as UTF-8")


def separator_of(header: str) -> str:
    """Return what parts the columns of a table with this header."""
    names = re.sub(r'"[^"]*"', "", header)
    return max(SEPARATORS, key=names.count)


def read_table(file: Path) -> Table:
    """Read a table of text: columns parted by commas, semicolons or tabs, under their names.

    Raises
    ------
    InputError
        If it is missing or not such a table.
    """
    text, notes = read_text(file)
    text, comments = without_comments(text.lstrip())
    if comments:
        notes = (*notes, f"{counted(comments, 'line')} above the header of {file.name} left out, as # begins them")
    header, _, rest = text.lstrip().partition("\n")
    if said := re.fullmatch(r"sep=(.)\s*", header, re.IGNORECASE):  # Excel's way to say it
        separator, text = said[1], rest
    else:
        separator = separator_of(header)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    lines: list[list[str]] = []
    try:
        for line in reader:
            cells = [cell.strip() for cell in line]
            if not any(cells):
                continue
            width = len(lines[0]) if lines else len(cells)
            if any(cells[width:]):
                raise InputError(
                    f"{file}, line {reader.line_num} has {len(cells)} cells, and the header {width}; "
                    "put quotes around text with commas, and semicolons between columns where commas are decimal"
                )
            lines.append(cells[:width] + [""] * (width - len(cells)))
    except csv.Error as error:
        raise InputError(f"{file}, line {reader.line_num} is not that of a table: {first_line(error)}") from error
    if not lines:
        raise InputError(f"{file} is empty; write a header with the names of the columns, and a line for each row")
    return Table(_frame(lines, file), notes)


def without_comments(text: str) -> tuple[str, int]:
    r"""Return the text of a table without the lines above its header that begin with #, and how many they are.

    A header may begin with #, too: that is the last such line where it has as many columns as the line below it, and that line
    holds numbers.

    >>> without_comments("# of June\nplot,x\n1,2"), without_comments("#plot,x\n1,2")
    (('\nplot,x\n1,2', 1), ('plot,x\n1,2', 0))
    """
    lines = text.splitlines(keepends=True)
    count = next((number for number, line in enumerate(lines) if not line.startswith("#")), 0)
    if count == 0:
        return text, 0
    header, first = lines[count - 1], lines[count]
    separator = separator_of(header)
    cells = [cell.strip() for cell in first.split(separator)]
    if 0 < header.count(separator) == first.count(separator) and any(_number(cell) is not None for cell in cells):
        count -= 1
        lines[count] = re.sub(r"^#\s*(?=\w)", "", header)
    return "\n" * count + "".join(lines[count:]), count


def _frame(lines: list[list[str]], file: Path) -> pd.DataFrame:
    header, *rows = lines
    cells = np.array(rows, dtype=object).reshape(len(rows), len(header))
    empty = cells == ""
    used = [number for number, name in enumerate(header) if name or not empty[:, number].all()]
    names = [header[number] or f"column {number + 1}" for number in used]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{file} has {names.count(twice[0])} columns {twice[0]!r}; rename all but one of them")
    cells[empty] = np.nan
    return pd.DataFrame(cells[:, used], columns=pd.Index(names, dtype="str"), dtype="str")


def csv_of(rows: pd.DataFrame, where: Path | str, *, float_format: str | None = None) -> str:
    """Return a table as the text of a CSV; all of ours are written by it.

    Parameters
    ----------
    rows : pandas.DataFrame
    where : path or str
        What it is for, for messages.
    float_format : str, optional
        Of numbers with decimals.

    Raises
    ------
    InputError
        If a text in it is a formula to spreadsheets; see :func:`check_texts`.
    """
    check_texts(rows, where)
    return str(rows.to_csv(index=False, float_format=float_format, lineterminator="\n"))


def check_texts(rows: pd.DataFrame, where: Path | str) -> None:
    """Refuse a table for a CSV that has names which a spreadsheet would run: of plots, sites, reviewers, ...

    Raises
    ------
    InputError
        If there is one.
    """
    for column in rows.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in rows.dtypes]]:
        check_formulas(f"{where}: {column}", rows[column].unique())


def numbers(column: pd.Series, what: str | None = None) -> pd.Series:
    """Return a column as numbers, NaN where none is known.

    Parameters
    ----------
    column : pandas.Series
        Of text, with decimal points or commas; or of numbers.
    what : str, optional
        What it is, for the message about text that is no number; without it, such text is taken for a number that is not known.

    Raises
    ------
    InputError
        If a text is no number.

    Examples
    --------
    >>> numbers(pd.Series(["1,5", "12 000.25", "NA"])).tolist()
    [1.5, 12000.25, nan]
    """
    return _read(column, _number, what, "write it with a decimal point and nothing else, such as 1234.5")


def whole_numbers(column: pd.Series, what: str) -> pd.Series:
    """Return a column as whole numbers.

    Raises
    ------
    InputError
        If one is missing or no whole number.

    Examples
    --------
    >>> whole_numbers(pd.Series(["007", "12.0"]), "idx").tolist()
    [7, 12]
    """
    found = numbers(column, what)
    if (wrong := ~(found % 1 == 0) | (found.abs() >= LARGEST)).any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(f"{what} {column.iloc[row]} in row {row + 1} is no whole number; correct it")
    return found.astype(np.int64)


def degrees(column: pd.Series, axis: str, what: str) -> pd.Series:
    """Return a column of longitudes or latitudes as degrees, NaN where none is known.

    Parameters
    ----------
    column : pandas.Series
        Of numbers; or of text, decimal or in degrees, minutes and seconds where a sign for degrees or N, S, E or W shows that
        it is that.
    axis : {"longitude", "latitude"}
    what : str
        What it is, for messages.

    Raises
    ------
    InputError
        If a text is neither, or is of the other axis.

    Examples
    --------
    >>> degrees(pd.Series(["46.75", "46°45'N", "46 45 0.0 S"]), "latitude", "latitude").tolist()
    [46.75, 46.75, -46.75]
    """
    letters = "EW" if axis == "longitude" else "NS"
    return _read(column, lambda text: _angle(text, letters), what, f"write decimal degrees, negative in the {_far(letters)}")


def metres(column: pd.Series, what: str) -> pd.Series:
    """Return a column of eastings or northings, NaN where none is known.

    Raises
    ------
    InputError
        If a text is no number, or all may be numbers with decimal commas as well as with commas between thousands.
    """
    said = [text for text in column if isinstance(text, str) and text.lower() not in MISSING]
    if said and all(_COMMA_OR_THOUSANDS.fullmatch(text) for text in said):
        raise InputError(f"{what}: {said[0]!r} may be {said[0].replace(',', '')} or {said[0].replace(',', '.')}; write it so")
    return numbers(column, what)


def _far(letters: str) -> str:
    return "west" if letters == "EW" else "south"


def _read(column: pd.Series, read: Callable[[str], float | None], what: str | None, advice: str) -> pd.Series:
    """Return a column as numbers; a text that is none is refused if it is said what the column is."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(np.float64)
    found = np.full(len(column), np.nan)
    for row, value in enumerate(column):
        text = str(value).strip()
        if text.lower() in MISSING:
            continue
        number = read(text.translate(_SIGNS).replace("''", '"')) if len(text) <= LONGEST else None
        if number is not None:
            found[row] = number
        elif what is not None:
            raise InputError(f"{what} {text[:LONGEST]!r} in row {row + 1} cannot be read; {advice}")
    return pd.Series(found, column.index)


def _number(text: str) -> float | None:
    plain = _THOUSANDS.sub("", text)
    number = float(plain.replace(",", ".")) if _NUMBER.fullmatch(plain) else math.inf
    return number if math.isfinite(number) else None


def _angle(text: str, letters: str) -> float | None:
    """Return degrees; None where a text is no angle, or one of the other axis."""
    if (number := _number(text)) is not None:
        return number
    found = _ANGLE.fullmatch(text)
    if found is None:
        return None
    before, sign, *parts, after = found.group(1, 2, 3, 5, 6, 7)
    letter = (before or after or "").upper()
    if (before and after) or (sign and letter) or not (letter or found[4]) or (letter and letter not in letters):
        return None
    whole, minutes, seconds = (float((part or "0").replace(",", ".")) for part in parts)
    if minutes >= 60 or seconds >= 60 or not all(part.isdecimal() for part in [part for part in parts if part][:-1]):
        return None
    return (-1 if sign == "-" or letter in ("S", "W") else 1) * (whole + minutes / 60 + seconds / 3600)
