import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from spurgekit.classify.reliability import cover_in_bins, share_in_bins, write_reliability
from spurgekit.classify.scores import value_of
from spurgekit.errors import InputError

CLASSES = ("no spurge", "leafy spurge")


def predictions(tiles=300, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), tiles)
    return p, np.array([rng.choice(classes, p=row) for row in p])


def noted(monkeypatch, owner, method):
    """A list of the texts that a method of matplotlib is called with from now on."""
    texts = []

    def note(self, text, *rest, **more):
        texts.append(text)

    monkeypatch.setattr(owner, method, note)
    return texts


class TestCoverBins:
    def test_by_hand(self):
        counts, predicted, seen, interval = cover_in_bins(np.array([0.1, 0.3, 0.6]), np.array([0.2, 0.3, 0.9]), bins=2)
        assert counts.tolist() == [2, 1]
        assert predicted == pytest.approx([0.2, 0.6])
        assert seen == pytest.approx([0.25, 0.9])
        # Of two tiles t = 12.7 and the standard error is .05: more than there is of either side. Of one nothing is known.
        assert interval == pytest.approx(np.array([[0, 0.9], [0.25 + 12.7062 * 0.05, 0.9]]), abs=1e-4)

    def test_an_interval_ends_where_shares_do(self):
        interval = cover_in_bins(np.array([0.1, 0.3]), np.array([0.0, 0.9]), bins=1).interval
        assert interval.ravel().tolist() == [0, 1]


class TestBins:
    def test_by_hand(self):
        counts, predicted, share, interval = share_in_bins(
            np.array([0.1, 0.2, 0.5, 0.9, 1.0]), np.array([False, True, False, True, True]), bins=2
        )
        assert counts.tolist() == [2, 3]
        assert predicted == pytest.approx([0.15, 0.8])
        assert share == pytest.approx([0.5, 2 / 3])
        # Wilson: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n) with z = 1.96 and p = 1/2 of n = 2.
        z2 = 1.959964**2
        middle, half = 0.5, np.sqrt(z2 * (0.25 / 2 + z2 / 16)) / (1 + z2 / 2)
        assert interval[:, 0] == pytest.approx([middle - half, middle + half], abs=1e-5)

    def test_empty_bins(self):
        counts, predicted, share, interval = share_in_bins(np.array([0.95]), np.array([True]))
        assert counts.tolist() == [0] * 9 + [1]
        assert np.isnan(predicted[:9]).all()
        assert np.isnan(share[:9]).all()
        assert np.isnan(interval[:, :9]).all()
        assert interval[1, 9] == 1


class TestPicture:
    def test_says_what_it_shows(self, tmp_path, monkeypatch):
        from matplotlib.figure import Figure

        titles = noted(monkeypatch, Figure, "suptitle")
        p, t = predictions()
        write_reliability(tmp_path / "reliability.png", p, t, CLASSES)
        assert titles == [f"ECE {value_of('ece', p, t):.3f}, Brier {value_of('brier', p, t):.3f}, 300 tiles"]

    def test_a_diagram_for_each_class_after_the_first(self, tmp_path, monkeypatch):
        from matplotlib.axes import Axes

        labels = noted(monkeypatch, Axes, "set_xlabel")
        write_reliability(tmp_path / "reliability.png", *predictions(classes=3), ("bare", "spurge", "$ grass"))
        assert [text for text in labels if text] == [
            "predicted probability of spurge",
            r"predicted probability of \$ grass",
        ]

    def test_the_same_bytes_again_without_a_date(self, tmp_path):
        for name in ("a.png", "b.png"):
            assert write_reliability(tmp_path / name, *predictions(), CLASSES) == tmp_path / name
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
        with Image.open(tmp_path / "a.png") as picture:
            picture.load()
            assert set(picture.info) == {"dpi"}
            assert min(picture.size) > 400

    @pytest.mark.parametrize("second", [0.0, 1.0])
    def test_one_tile(self, tmp_path, second):
        path = write_reliability(tmp_path / "reliability.png", np.array([[1 - second, second]]), np.array([1]), CLASSES)
        assert path.stat().st_size > 0

    def test_nothing_is_left_of_a_failure(self, tmp_path):
        with pytest.raises(InputError, match="3 names for probabilities of 2 classes"):
            write_reliability(tmp_path / "reliability.png", *predictions(), ("a", "b", "c"))
        with pytest.raises(InputError, match="no tiles to score"):
            write_reliability(tmp_path / "reliability.png", np.empty((0, 2)), np.empty(0, int), CLASSES)
        assert not list(tmp_path.iterdir())


def test_scikit_learn_and_matplotlib_are_imported_only_when_used_and_pyplot_never(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from spurgekit.classify import calibration, prevalence, reliability, scores\n"
        "assert not {'sklearn', 'matplotlib'} & set(sys.modules)\n"
        f"reliability.write_reliability({str(tmp_path / 'r.png')!r}, np.eye(2), np.arange(2), 'ab')\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
