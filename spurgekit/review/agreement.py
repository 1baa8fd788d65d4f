"""How far a review has come, and how far its reviewers agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from spurgekit.review.review_folder import ReviewFolder
from spurgekit.text import counted
from spurgekit.tiles.review_log import Decision, Opinion, opinions, outcome

STATUSES = ("accepted", "rejected", "unsure", "disputed")


@dataclass(frozen=True, slots=True)
class ReviewerProgress:
    """What one reviewer has said.

    Attributes
    ----------
    reviewer : str
    accepted : mapping
        Tiles by the class that they were accepted with.
    rejected, unsure : int
    """

    reviewer: str
    accepted: Mapping[str, int]
    rejected: int
    unsure: int

    @property
    def reviewed(self) -> int:
        """All tiles with a verdict of this reviewer."""
        return sum(self.accepted.values()) + self.rejected + self.unsure


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """How two reviewers agree, where both are sure: by class, with rejected tiles as one more class.

    It goes by what each said before seeing the other's decision; see :func:`independent_opinions`.

    Attributes
    ----------
    reviewers : tuple of str
    tiles : int
        Tiles that both accepted or rejected.
    agreed : int
        Those of which they said the same.
    kappa : float or None
        Cohen's. None where chance alone would make them agree on everything, since both say the same of all tiles.
    """

    reviewers: tuple[str, str]
    tiles: int
    agreed: int
    kappa: float | None


@dataclass(frozen=True, slots=True)
class ReviewReport:
    """The state of a review.

    Attributes
    ----------
    tiles : int
        Tiles of the folder.
    reviewed : int
        Those with a verdict of anybody.
    outcomes : mapping
        Tiles by what their opinions come to; see :class:`spurgekit.tiles.review_log.Outcome`.
    reviewers : tuple of ReviewerProgress
        By name.
    pairs : tuple of PairAgreement
        Of reviewers who both were sure of a tile.
    disputed : mapping
        What each reviewer says, by tile, of those that are disputed now.
    elsewhere : int
        Tiles that the log speaks of and the folder does not have.
    damage : str
        What is wrong with the log.
    """

    tiles: int
    reviewed: int
    outcomes: Mapping[str, int]
    reviewers: tuple[ReviewerProgress, ...]
    pairs: tuple[PairAgreement, ...]
    disputed: Mapping[str, Mapping[str, str]]
    elsewhere: int
    damage: str = ""


def summarise(folder: ReviewFolder, decisions: Sequence[Decision]) -> ReviewReport:
    """Return the state of a review of a folder."""
    latest = opinions(decisions)
    here = {tile: of for tile, of in latest.items() if tile in folder.by_id}
    statuses = {tile: outcome(of).status for tile, of in here.items()}
    counts: Counter[str] = Counter(statuses.values())
    names = sorted({who for of in here.values() for who in of})
    blind = {tile: of for tile, of in independent_opinions(decisions).items() if tile in here}
    pairs = [_agreement(pair, blind.values()) for pair in combinations(names, 2)]
    return ReviewReport(
        tiles=len(folder.tiles),
        reviewed=len(here),
        outcomes={status: counts[status] for status in STATUSES},
        reviewers=tuple(_progress(name, here.values()) for name in names),
        pairs=tuple(pair for pair in pairs if pair.tiles),
        disputed={
            tile.id: {who: opinion_in_words(said) for who, said in sorted(here[tile.id].items())}
            for tile in folder.tiles
            if statuses.get(tile.id) == "disputed"
        },
        elsewhere=len(latest) - len(here),
    )


def independent_opinions(decisions: Iterable[Decision]) -> dict[str, dict[str, Opinion]]:
    """Return the opinions that reviewers came to by themselves.

    A reviewer sees what others say of a tile only once they have a verdict on it. So a change of a verdict counts only as long
    as no other reviewer has one; later changes may come from what they saw, and would make any two reviewers agree in the end.
    Nothing is seen, and so the next verdict counts, where one is taken back first, as with the undo key.

    Returns
    -------
    dict
        Tile id -> reviewer -> opinion with a verdict, whether it still stands or not.

    Examples
    --------
    >>> weed, sand, none = Opinion(verdict="accepted", label="weed"), Opinion(verdict="accepted", label="sand"), Opinion()
    >>> ada = Decision(who="ada", tile="a", after=weed)
    >>> bo = Decision(who="bo", tile="a", after=sand)
    >>> persuaded = Decision(who="bo", tile="a", before=sand, after=weed)
    >>> independent_opinions([ada, bo, persuaded])["a"]["bo"].label
    'sand'
    """
    found: dict[str, dict[str, Opinion]] = {}
    standing: dict[str, dict[str, Opinion]] = {}
    for decision in decisions:
        now = standing.setdefault(decision.tile, {})
        seen = now.get(decision.who, Opinion()).verdict is not None and any(
            said.verdict for who, said in now.items() if who != decision.who
        )
        now[decision.who] = decision.after
        if decision.after.verdict is not None and not seen:
            found.setdefault(decision.tile, {})[decision.who] = decision.after
    return found


def opinion_in_words(said: Opinion) -> str:
    """Return a verdict as a word: the class, ``rejected`` or ``unsure``."""
    return said.label or "" if said.verdict == "accepted" else said.verdict or ""


def format_report(report: ReviewReport, name: str) -> list[str]:
    """Return the report as lines of text."""
    lines = [f"{name}: {report.reviewed:,} of {report.tiles:,} tiles reviewed" + _listed(report.outcomes)]
    width = max((len(one.reviewer) for one in report.reviewers), default=0)
    for one in report.reviewers:
        counts = {**one.accepted, "rejected": one.rejected, "unsure": one.unsure}
        lines.append(f"  {one.reviewer:<{width}}  {one.reviewed:6,d}{_listed(counts)}")
    for pair in report.pairs:
        kappa = "is not defined, as both say the same of all of them" if pair.kappa is None else f"{pair.kappa:.2f}"
        lines.append(f"{' and '.join(pair.reviewers)}: kappa {kappa}; they agree on {pair.agreed:,} of {pair.tiles:,} tiles")
    if report.disputed:
        lines.append(f"disputed: {counted(len(report.disputed), 'tile')}")
    for tile, of in report.disputed.items():
        lines.append(f"  {tile}  " + ", ".join(f"{who}: {said}" for who, said in of.items()))
    if report.elsewhere:
        are = "is" if report.elsewhere == 1 else "are"
        lines.append(f"note: the log speaks of {counted(report.elsewhere, 'tile')} that {are} not in this folder")
    if report.damage:
        lines.append(f"note: {report.damage}")
    return lines


def _listed(counts: Mapping[str, int]) -> str:
    some = [f"{count:,} {name}" for name, count in counts.items() if count]
    return f": {', '.join(some)}" if some else ""


def _progress(name: str, opinions_of_tiles: Iterable[Mapping[str, Opinion]]) -> ReviewerProgress:
    mine = [of[name] for of in opinions_of_tiles if name in of]
    verdicts = Counter(said.verdict for said in mine)
    labels = Counter(said.label or "" for said in mine if said.verdict == "accepted")
    return ReviewerProgress(name, dict(sorted(labels.items())), verdicts["rejected"], verdicts["unsure"])


def _agreement(pair: tuple[str, str], opinions_of_tiles: Iterable[Mapping[str, Opinion]]) -> PairAgreement:
    both = [[of[name] for name in pair] for of in opinions_of_tiles if all(name in of for name in pair)]
    sure = [[_category(said) for said in two] for two in both if all(said.verdict != "unsure" for said in two)]
    agreed = sum(one == other for one, other in sure)
    return PairAgreement(pair, len(sure), agreed, _kappa(sure))


def _category(said: Opinion) -> str:
    return f"accepted {said.label}" if said.verdict == "accepted" else "rejected"


def _kappa(pairs: Sequence[Sequence[str]]) -> float | None:
    from sklearn.metrics import cohen_kappa_score  # takes a second to load, which the page's start does without

    ones, others = ([two[i] for two in pairs] for i in (0, 1))
    if len({*ones, *others}) < 2:
        return None
    return float(cohen_kappa_score(ones, others))
