"""Teaching a diffusion model the classes of a dataset: a word for each class of each support set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spurgekit.augment.support_sets import SupportSetKey, SupportSets
from spurgekit.dataset import Dataset
from spurgekit.diffusion.latent_model import BackboneInfo
from spurgekit.diffusion.textual_inversion.inversion_options import InversionOptions
from spurgekit.diffusion.textual_inversion.prompt_templates import check_classes_of, templates_of
from spurgekit.diffusion.textual_inversion.training_samples import InversionTask
from spurgekit.diffusion.tokens import token_of
from spurgekit.errors import InputError, LeakageError, ModelError
from spurgekit.imagery import slug
from spurgekit.outputs import output_file, resumable_folder
from spurgekit.progress import Progress, silent
from spurgekit.reading import Described, known_version, read_described

if TYPE_CHECKING:
    from spurgekit.diffusion.latent_model import Backbone

EMBEDDINGS = "embeddings.json"


class WordInfo(Described):
    """A word that was learned.

    Attributes
    ----------
    set : str
        Support set, or ``all``; after ``without-PLACE/`` where a place is left out.
    class_name : str
        That it stands for.
    token : str
        What prompts call it.
    tiles : tuple of str
        Ids of those that it was learned from.
    loss_before, loss_after : float
        Of the model, with the vector that it began with and with what became of it; see
        :class:`spurgekit.diffusion.textual_inversion.inversion.Learned`.
    """

    set: str
    class_name: str
    token: str
    tiles: tuple[str, ...]
    loss_before: float
    loss_after: float


class EmbeddingsInfo(Described):
    """What ``embeddings.json`` says: which words were learned, with which model and how.

    Attributes
    ----------
    schema_version : int
        Version of the file's layout.
    backbone, revision : str
        The diffusion model: repository and commit, or folder.
    licence : str or None
        Of the model.
    lora : str or None
        That was merged into it.
    unet : str or None
        Weights that took the place of its UNet's.
    words : tuple of WordInfo
        That were learned.
    options : dict
        How they were.
    """

    schema_version: known_version(1) = 1  # type: ignore[valid-type]
    backbone: str
    revision: str | None
    licence: str | None
    lora: str | None
    unet: str | None = None
    words: tuple[WordInfo, ...]
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedInversion:
    """A task, and which class of which support set it teaches.

    Attributes
    ----------
    task : InversionTask
    key : SupportSetKey
    class_name : str
    tile_ids : tuple of str
    """

    task: InversionTask
    key: SupportSetKey
    class_name: str
    tile_ids: tuple[str, ...]


def embedding_path(folder: Path, key: SupportSetKey, class_name: str) -> Path:
    """Return where the word for a class of a support set is.

    >>> embedding_path(Path("embeddings"), SupportSetKey(3, 4), "leafy spurge").as_posix()
    'embeddings/t03-n04/leafy-spurge.safetensors'
    """
    return Path(folder) / key.name / f"{slug(class_name)}.safetensors"


def plan_inversions(dataset: Dataset, sets: SupportSets, options: InversionOptions) -> list[PlannedInversion]:
    """Return what is to be learned: each class of each support set, absence included.

    Raises
    ------
    InputError
        If a class has no tiles or no templates, or two classes would have one token.
    """
    check_classes_of(options.templates, dataset.info.classes)
    tokens: dict[str, str] = {}
    for name in dataset.info.classes:
        try:
            token = token_of(name)
        except ValueError as error:
            raise InputError(f"{error}; rename the class") from error
        if other := tokens.get(token):
            raise InputError(f"the classes {other!r} and {name!r} would have one token, {token}; rename one")
        tokens[token] = name
    planned = []
    for key, rows in sets.items():
        for token, name in tokens.items():
            mine = rows[rows["class"] == name]
            task_key = embedding_path(Path(), key, name).with_suffix("").as_posix()
            prompts = templates_of(options.templates, name)
            task = InversionTask(task_key, token, tuple(mine["path"]), options.init_word or name, prompts)
            planned.append(PlannedInversion(task, key, name, tuple(mine["tile_id"])))
    return planned


def learn_embeddings(
    dataset: Dataset,
    sets: SupportSets,
    backbone: Backbone,
    options: InversionOptions,
    out: Path,
    *,
    overwrite: bool = False,
    warn: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> EmbeddingsInfo:
    """Learn a word for each class of each support set, all in one run, and write them to a folder.

    Parameters
    ----------
    dataset : Dataset
    sets : mapping of SupportSetKey to pandas.DataFrame
        From :func:`spurgekit.augment.support_sets.choose_sets`.
    backbone : Backbone
    options : InversionOptions
    out : pathlib.Path
        Folder to make; one whose making was interrupted is gone on with. It gets a file for each word (see
        :func:`embedding_path`), which ``load_textual_inversion`` of diffusers reads, ``embeddings.json``, ``losses.parquet``
        and ``validation/``.
    overwrite : bool
        Replace a folder that spurgekit made before.
    warn : callable
        Told what a user should know while the run goes on.
    progress : Progress

    Raises
    ------
    InputError
        If a class has no tiles, or a tile cannot be read.
    ModelError
        If the loss is not finite, or memory does not suffice.
    OutputExistsError
        If the folder is there already, or was begun with other settings.
    """
    from spurgekit.diffusion.textual_inversion.frozen_model import name_of
    from spurgekit.diffusion.textual_inversion.inversion import CHECKPOINT, check_inversion, invert

    planned = plan_inversions(dataset, sets, options)
    tasks = [one.task for one in planned]
    check_inversion(backbone, tasks, options)  # ahead of a folder that would have to be gone on with
    settings = {
        "dataset": str(dataset.path),
        "words": {one.task.key: one.tile_ids for one in planned},
        "backbone": asdict(backbone.info),
        "precision": name_of(backbone.dtype),
        "options": asdict(options),
    }
    with resumable_folder(
        out, "embeddings", settings, inputs=[dataset.path], overwrite=overwrite, scratch=[CHECKPOINT]
    ) as folder:
        learned = invert(backbone, tasks, options, folder, progress=progress, warn=warn)
        words = tuple(
            WordInfo(
                set=one.key.name,
                class_name=one.class_name,
                token=one.task.token,
                tiles=one.tile_ids,
                loss_before=learned[one.task.key].loss_before,
                loss_after=learned[one.task.key].loss_after,
            )
            for one in planned
        )
        about = backbone.info
        info = EmbeddingsInfo(
            backbone=about.name,
            revision=about.revision,
            licence=about.licence,
            lora=about.lora,
            unet=about.unet,
            words=words,
            options=asdict(options),
        )
        with output_file(folder / EMBEDDINGS) as file:
            file.write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")
    return info


def read_embeddings(folder: Path) -> EmbeddingsInfo:
    """Read what ``embeddings.json`` of a folder says.

    Raises
    ------
    InputError
        If there is none, or it is damaged.
    """
    file = Path(folder) / EMBEDDINGS
    if not file.is_file():
        what = f"holds no {EMBEDDINGS}" if Path(folder).is_dir() else "does not exist"
        raise InputError(f"{folder} {what}; learn words with 'spurgekit invert'")
    return read_described(file, EmbeddingsInfo, "learn the words again")


def check_embeddings(folder: Path, dataset: Dataset, sets: SupportSets, info: BackboneInfo) -> None:
    """Make sure that words were learned with a model, for support sets, and from their tiles alone.

    Raises
    ------
    InputError
        If the folder is none of words, or lacks some.
    ModelError
        If they were learned with another model.
    LeakageError
        If they were learned from tiles outside of their support set, which may be test tiles.
    """
    found = read_embeddings(folder)
    hint = "pass another folder of `embeddings`, where they will be learned"
    for what, theirs, ours in (
        ("", found.backbone, info.name),
        ("revision ", found.revision, info.revision),
        ("LoRA ", found.lora, info.lora),
        ("UNet ", found.unet, info.unet),
    ):
        if theirs != ours:
            raise ModelError(f"the words in {folder} were learned with {what}{theirs or 'none'}, not {ours or 'none'}; {hint}")
    words = {(word.set, word.class_name): word for word in found.words}
    for key, rows in sets.items():
        for name in dataset.info.classes:
            word = words.get((key.name, name))
            if word is None or not embedding_path(folder, key, name).is_file():
                raise InputError(f"{folder} has no word for {name!r} of {key.name}; {hint}")
            if foreign := sorted(set(word.tiles) - set(rows["tile_id"][rows["class"] == name])):
                raise LeakageError(
                    f"the word for {name!r} of {key.name} in {folder} was learned from tiles outside of that support set, "
                    f"e.g. {foreign[0]}; {hint}"
                )
