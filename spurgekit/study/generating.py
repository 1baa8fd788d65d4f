"""The arms of synthetic tiles of a study: words that are learned, and tiles that are made, each once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from spurgekit.augment import Announcement, AugmentOptions, InversionPlan, augment_dataset, invert_classes
from spurgekit.augment.embeddings import EMBEDDINGS
from spurgekit.augment.manifest import MANIFEST
from spurgekit.classify.arms import SYNTHETIC
from spurgekit.dataset import Dataset, open_dataset
from spurgekit.evaluate import evaluate_arms
from spurgekit.imagery import slug
from spurgekit.progress import Progress
from spurgekit.study.choosing import Choice, build_training_side, choose, gains_of
from spurgekit.study.costs import Costs
from spurgekit.study.study_options import PASTED_MIXING, PUBLISHED_MIXING, StudyOptions
from spurgekit.text import counted

METRIC = "balanced_accuracy"
CHOOSING = "choosing"
PUBLISHED, OWN = "published", "spurgekit"
"""Presets of words and edits."""

CHOSEN = "chosen"
"""Name of the arm of edits whose strength, guidance and mixing were chosen."""

COPY_PASTE, INSERTION = "copy-paste", "insertion"
"""Methods that paste, the first without a model; arms are called by them."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Arms of synthetic tiles that are mixed in alike.

    Attributes
    ----------
    name : str
        Of their evaluation.
    folders : mapping of str to pathlib.Path
        ``augmented/`` folders by the name of the arm.
    mixing : float
    shots : tuple of int
        That they were made for.
    """

    name: str
    folders: Mapping[str, Path]
    mixing: float
    shots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Generator:
    """Makes what is not there.

    Attributes
    ----------
    data : Dataset
    out : pathlib.Path
        Of the study.
    options : StudyOptions
    costs : Costs
    overwrite : bool
        Make anew what is there.
    say, warn : callable
        Told what is being done, and what a user should know while it is.
    progress : Progress
    """

    data: Dataset
    out: Path
    options: StudyOptions
    costs: Costs
    overwrite: bool
    say: Callable[[str], None]
    warn: Callable[[str], None]
    progress: Progress

    def paste(self) -> Compared:
        """Paste plants onto other ground, without a model."""
        folder = self._made(COPY_PASTE, OWN, None, method=COPY_PASTE, **self.options.pasting())
        return Compared(COPY_PASTE, {COPY_PASTE: folder}, PASTED_MIXING, self.options.shots)

    def prepare(self) -> None:
        """Look whether there are the model and the training side to choose by, ahead of work that should not wait for it."""
        options, dataset = self.options, self.out / CHOOSING / "dataset"
        options.learning(OWN, options.shots, options.trials).look_up()
        if options.chooses and (self.overwrite or not dataset.exists()):
            build_training_side(
                self.data,
                dataset.parent,
                shots=options.shots,
                trials=options.choose_trials,
                seed=options.seed,
                overwrite=self.overwrite,
            )

    def choose(self, backbone: str) -> tuple[tuple[Choice, ...], pd.DataFrame]:
        """Choose strengths, guidances and mixings on the training side; return them and what each candidate gained there.

        Where there is nothing to choose between, nothing is made, and the table is empty.

        Parameters
        ----------
        backbone : str
            Name of its folder.
        """
        options = self.options
        if not options.chooses:
            return (Choice(options.strengths[0], options.guidances[0], options.mixings[0], options.shots),), pd.DataFrame()
        folder = self.out / CHOOSING
        dataset = folder / "dataset"
        shots, trials = self._sets(dataset)
        words = self._words(dataset, folder / "words", OWN, shots, trials, f"{CHOOSING}: words")
        folders = {
            edits_name(strength, guidance): self._tiles(
                dataset, folder / edits_name(strength, guidance), f"{CHOOSING}: {edits_name(strength, guidance)}",
                options.making(OWN, shots, trials, words, strengths=strength, guidance=guidance),
            )
            for strength in options.strengths for guidance in options.guidances
        }  # fmt: skip
        found = {}
        for mixing in options.mixings:
            comparing = options.evaluating(
                (options.recipe, *(f"{options.recipe}+{SYNTHETIC}:{name}" for name in folders)),
                shots=shots, trials=trials, synthetic=folders, mixing=mixing, unlabelled=None,
            )  # fmt: skip
            with self.costs.of(f"{backbone}: {CHOOSING}"):
                out = folder / backbone / f"mixing-{mixing:g}"
                report = evaluate_arms(dataset, out, comparing, overwrite=self.overwrite, progress=self.progress)
            differences = report.differences[report.differences["metric"] == METRIC]
            for edits, name in zip(itertools.product(options.strengths, options.guidances), folders, strict=True):
                found[*edits, mixing] = differences[differences["arm"] == f"{options.recipe}+{SYNTHETIC}:{name}"]
        gains = gains_of(found)
        return choose(gains, options.shots), gains

    def make(self, choices: Sequence[Choice], *, pastes: bool) -> list[Compared]:
        """Make the tiles of all arms with a generator for the support sets that are compared.

        Parameters
        ----------
        choices : sequence of Choice
            From :meth:`choose`.
        pastes : bool
            Whether there are masks, by which plants are pasted onto other ground.
        """
        options, path = self.options, self.data.path
        shots, trials = options.shots, options.trials
        learned = self._words(path, self.out / "words-published", PUBLISHED, shots, trials, "words, published")
        own = self._words(path, self.out / "words", OWN, shots, trials, "words")
        folders = {
            "roundtrip": self._made("roundtrip", PUBLISHED, learned, method="roundtrip"),
            "real-guidance": self._made("real-guidance", PUBLISHED, learned, method="real-guidance"),
            "da-fusion": self._made("da-fusion", PUBLISHED, learned),
        }
        found = [Compared(PUBLISHED, folders, PUBLISHED_MIXING, shots)]
        if pastes:
            folder = self._made(INSERTION, OWN, own, method=INSERTION, **options.pasting())
            found.append(Compared(INSERTION, {INSERTION: folder}, PASTED_MIXING, shots))
        for strength, guidance in dict.fromkeys((choice.strength, choice.guidance) for choice in choices):
            of = [choice for choice in choices if (choice.strength, choice.guidance) == (strength, guidance)]
            name = f"{edits_name(strength, guidance)}-{shots_name(n for choice in of for n in choice.shots)}"
            shots = tuple(sorted(n for choice in of for n in choice.shots))
            folder = self._made(name, OWN, own, shots=shots, strengths=strength, guidance=guidance)
            for choice in of:
                part = f"{CHOSEN}-{shots_name(choice.shots)}-mixing-{choice.mixing:g}"
                found.append(Compared(part, {CHOSEN: folder}, choice.mixing, choice.shots))
        return found

    def _made(
        self, name: str, preset: str, words: Path | None, *, shots: tuple[int, ...] | None = None, **changes: object
    ) -> Path:
        options = self.options
        making = options.making(preset, shots or options.shots, options.trials, words, **changes)
        return self._tiles(self.data.path, self.out / name, name, making)

    def _sets(self, dataset: Path) -> tuple[tuple[int, ...], int]:
        """Return numbers of shots and of trials that the training side has support sets of."""
        info = open_dataset(dataset).info
        return info.shots, info.trials

    def _words(self, dataset: Path, out: Path, preset: str, shots: tuple[int, ...], trials: int, step: str) -> Path:
        """Learn words, unless they are there."""

        def announce(plan: InversionPlan) -> None:
            words, sets = counted(plan.words, "word"), counted(plan.sets, "support set")
            self.say(f"{step}: {words} of {sets}, {counted(self.options.learn_steps, 'step')} each, on {plan.device}")

        if self.overwrite or not (out / EMBEDDINGS).is_file():
            learning = self.options.learning(preset, shots, trials)
            with self.costs.of(step):
                invert_classes(
                    dataset, out, learning, overwrite=self.overwrite, announce=announce, warn=self.warn, progress=self.progress
                )
        return out

    def _tiles(self, dataset: Path, out: Path, step: str, options: AugmentOptions) -> Path:
        """Make tiles, unless they are there."""

        def announce(what: Announcement) -> None:
            minutes = what.estimate.seconds / 60
            self.say(f"{step}: {counted(what.estimate.images, 'image')}, about {minutes:,.0f} min on {', '.join(what.devices)}")

        if self.overwrite or not (out / MANIFEST).is_file():
            with self.costs.of(step):
                augment_dataset(
                    dataset, out, options, overwrite=self.overwrite, announce=announce, warn=self.warn, progress=self.progress
                )
        return out


def edits_name(strength: str, guidance: float) -> str:
    """Return what a folder of edits is called.

    >>> edits_name("0.1-0.3", 7.5)
    'edits-0-1-0-3-guidance-7-5'
    """
    return f"edits-{slug(strength)}-guidance-{slug(f'{guidance:g}')}"


def shots_name(shots: Iterable[int]) -> str:
    """Return numbers of shots as names of folders have them.

    >>> shots_name((4, 1))
    'n1-4'
    """
    return f"n{'-'.join(map(str, sorted(shots)))}"
