"""``[record]`` of ``survey.toml``: what a weed database wants to know of a record and no image tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from spurgekit.errors import InputError
from spurgekit.options import Options, kinds_of
from spurgekit.text import is_line, shown

LICENCES = {
    "cc0-1.0": "http://creativecommons.org/publicdomain/zero/1.0/legalcode",
    "cc-by-4.0": "http://creativecommons.org/licenses/by/4.0/legalcode",
    "cc-by-nc-4.0": "http://creativecommons.org/licenses/by-nc/4.0/legalcode",
}
"""Addresses of the licences that GBIF takes, by their identifiers."""


@dataclass(frozen=True, kw_only=True)
class Taxon(Options):
    """What a class is called in floras.

    Attributes
    ----------
    scientific_name : str
        Name of the taxon, best with its author, in the flora that you go by.
    taxon_id : str, optional
        Its identifier in a list of names, such as ``https://www.gbif.org/species/NUMBER``.
    tsn : int, optional
        Its taxonomic serial number in ITIS, which NAISMA's standard has a field for.
    taxon_rank : str, optional
        Rank of the name: ``species``, ``subspecies``, ``nothospecies``, ...
    kingdom : str, optional
        Kingdom that it is in, which tells homonyms apart.
    common_name : str, optional
        Name in the language of the country. Default: that of the class.
    """

    scientific_name: str
    taxon_id: str | None = None
    tsn: int | None = None
    taxon_rank: str | None = None
    kingdom: str | None = None
    common_name: str | None = None

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        _check_lines(self)


@dataclass(frozen=True, kw_only=True)
class RecordTable(Options):
    """What records for weed databases say besides what is on the map.

    Attributes
    ----------
    scientific_name : str, optional
        Name of the taxon, best with its author, in the flora that you go by, where the survey has one weed class.
    taxon_id : str, optional
        Its identifier in a list of names, such as ``https://www.gbif.org/species/NUMBER``.
    tsn : int, optional
        Its taxonomic serial number in ITIS, which NAISMA's standard has a field for.
    taxon_rank : str, optional
        Rank of the name: ``species``, ``subspecies``, ``nothospecies``, ...
    kingdom : str, optional
        Kingdom that it is in, which tells homonyms apart.
    common_name : str, optional
        Name in the language of the country. Default: that of the class.
    taxa : mapping of Taxon by class
        The taxon of each class, where there are several.
    observer : str, optional
        Full name of the one who flew, or is to be asked about the records. Records need it.
    identified_by : str, optional
        Who answers for the identification, where a review does not say it. Default: the observer.
    organisation : str, optional
        Organisation that holds the records.
    country : str, optional
        Name of the country. Records need it.
    country_code : str, optional
        Its code of two letters (ISO 3166-1).
    state : str, optional
        State or province. Records need it.
    county : str, optional
        County or municipality.
    habitat : str, optional
        What grows or stands there: rangeland, river bank, ...
    land_owner : str, optional
        Who owns the land, or what kind of owner.
    positional_accuracy_m : float, optional
        How far off places of the orthomosaic may be, in metres, by check points or by the GNSS that placed it.
    dataset_name : str, optional
        Name of the dataset that the records are of. Default: that of the survey.
    dataset_id : str, optional
        Its identifier, if it has one.
    licence : str, optional
        That the records are given under: ``cc0-1.0``, ``cc-by-4.0``, ``cc-by-nc-4.0``, or the address of another.
    rights_holder : str, optional
        Who holds the rights to them.
    """

    scientific_name: str | None = None
    taxon_id: str | None = None
    tsn: int | None = None
    taxon_rank: str | None = None
    kingdom: str | None = None
    common_name: str | None = None
    taxa: Mapping[str, Taxon] = field(default_factory=dict)
    observer: str | None = None
    identified_by: str | None = None
    organisation: str | None = None
    country: str | None = None
    country_code: str | None = None
    state: str | None = None
    county: str | None = None
    habitat: str | None = None
    land_owner: str | None = None
    positional_accuracy_m: float | None = None
    dataset_name: str | None = None
    dataset_id: str | None = None
    licence: str | None = None
    rights_holder: str | None = None

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        _check_lines(self)
        for name, taxon in self.taxa.items():
            if not isinstance(taxon, Taxon):
                raise InputError(f"`taxa={shown(name)}` is not followed by a Taxon but by {shown(taxon)}")
        code, accuracy = self.country_code, self.positional_accuracy_m
        if code is not None and not (len(code) == 2 and code.isascii() and code.isalpha() and code.isupper()):
            raise InputError(f"`country_code={shown(code)}` is no code of two capitals, such as US")
        if accuracy is not None and not (accuracy > 0 and isfinite(accuracy)):
            raise InputError(f"`positional_accuracy_m={accuracy}` is no accuracy; pass metres above 0, or leave it out")

    def parameters(self) -> dict[str, Any]:
        """Return all entries by name, for a record of what was done."""
        return {**Options.parameters(self), "taxa": {name: taxon.parameters() for name, taxon in self.taxa.items()}}

    def taxon_of(self, name: str, classes: Sequence[str]) -> Taxon:
        """Return the taxon of a class.

        Parameters
        ----------
        name : str
            Of the class.
        classes : sequence of str
            All classes of the map but the background.

        Raises
        ------
        InputError
            If nothing says what it is called.
        """
        if name in self.taxa:
            return self.taxa[name]
        if len(classes) > 1:
            raise InputError(
                f"survey.toml says no taxon of the class {shown(name)}; write a table [record.taxa.{_quoted(name)}] with its "
                "scientific_name, or leave the class out by `classes`"
            )
        if self.scientific_name is None:
            raise InputError("record.scientific_name of survey.toml is missing: the name of the weed in the flora you go by")
        return Taxon(**{one: value for one in kinds_of(Taxon) if (value := getattr(self, one)) is not None})

    @property
    def licence_address(self) -> str | None:
        """Address of the licence, where it is known by its identifier."""
        return None if self.licence is None else LICENCES.get(self.licence.lower(), self.licence)

    def check(self) -> None:
        """Refuse a table that lacks what every record has to say.

        Raises
        ------
        InputError
            If an entry is missing.
        """
        for name, what in NEEDED.items():
            if getattr(self, name) is None:
                raise InputError(f"record.{name} of survey.toml is missing: {what}")


NEEDED = {
    "observer": "the full name of the one who flew, or is to be asked about the records",
    "country": "the name of the country",
    "state": "the state or province",
}
"""Entries that every record needs, and what they are, for messages."""


def _check_lines(options: Options) -> None:
    """Refuse texts that are no lines, since all go into tables."""
    for name in kinds_of(type(options)):
        value = getattr(options, name)
        if isinstance(value, str) and not is_line(value):
            raise InputError(f"`{name}={shown(value)}` is no line of text; write it on one line, or leave it out")


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
