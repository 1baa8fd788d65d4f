import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.probe import C, extract_features, fit_head
from spurgekit.errors import ModelError

CPU = torch.device("cpu")


def tile(*bands):
    """One tile of the given bands, as a batch."""
    return np.array([bands], np.uint8)


class TestPreprocess:
    def test_normalisation_by_hand(self):
        ready = Preprocess(2, (0.5, 0.2, 0.0), (0.25, 0.1, 1.0), CPU)(
            tile([[255, 51], [102, 0]], [[255, 51], [102, 0]], [[255, 51], [102, 255]])
        )
        # Values from 0 to 1 are 1, 0.2, 0.4 and 0; less the mean, over the spread.
        assert ready[0, 0].flatten().tolist() == pytest.approx([2, -1.2, -0.4, -2], abs=1e-6)
        assert ready[0, 1].flatten().tolist() == pytest.approx([8, 0, 2, -2], abs=1e-6)
        assert ready[0, 2].flatten().tolist() == pytest.approx([1, 0.2, 0.4, 1], abs=1e-6)
        assert ready.dtype == torch.float32

    def test_resized_to_the_side_of_the_backbone(self):
        ready = Preprocess(4, (0.0,), (1.0,), CPU)(tile([[10, 110], [10, 110]]))
        # Bilinear: the new centres lie at -0.25, 0.25, 0.75 and 1.25 of the old ones.
        assert (255 * ready[0, 0]).numpy() == pytest.approx(np.array([[10, 35, 85, 110]] * 4), abs=1e-3)

    def test_a_flat_tile_stays_flat_when_it_shrinks(self):
        ready = Preprocess(3, (0.0,), (1.0,), CPU)(np.full((2, 1, 10, 10), 51, np.uint8))
        assert ready.shape == (2, 1, 3, 3)
        assert ready.numpy() == pytest.approx(0.2)

    def test_pixels_without_data_take_the_mean_of_their_tile(self):
        ready = Preprocess(2, (0.0,) * 3, (1.0,) * 3, CPU)(tile([[0, 10], [30, 50]], [[0, 20], [40, 60]], [[0, 30], [50, 70]]))
        assert (255 * ready[0, :, 0, 0]).tolist() == pytest.approx([30, 40, 50])
        assert (255 * ready[0, :, 0, 1]).tolist() == pytest.approx([10, 20, 30])

    def test_a_pixel_that_is_0_in_one_band_only_is_data(self):
        ready = Preprocess(1, (0.0,) * 3, (1.0,) * 3, CPU)(tile([[0]], [[7]], [[0]]))
        assert (255 * ready).flatten().tolist() == pytest.approx([0, 7, 0])

    def test_a_tile_without_data_stays_finite(self):
        ready = Preprocess(2, (0.5,), (0.5,), CPU)(np.zeros((1, 1, 2, 2), np.uint8))
        assert ready.flatten().tolist() == [-1, -1, -1, -1]

    def test_each_tile_has_its_own_mean(self):
        batch = np.concatenate([tile([[0, 100]]), tile([[0, 200]])])
        ready = 255 * Preprocess(2, (0.0,), (1.0,), CPU)(np.repeat(batch, 2, axis=2))
        assert ready[:, 0, 0, 0].tolist() == pytest.approx([100, 200])


class TestFeatures:
    def test_batch_by_batch(self):
        class Brightness(torch.nn.Module):
            def forward(self, x):
                return x.mean(dim=(2, 3))

        preprocess = Preprocess(2, (0.0,), (1.0,), CPU)
        batches = [np.full((n, 1, 2, 2), value, np.uint8) for n, value in ((2, 51), (1, 255))]
        first, second = extract_features(Brightness(), preprocess, batches)
        assert first.tolist() == pytest.approx(np.array([[0.2], [0.2]]))
        assert second.tolist() == [[1.0]]

    def test_weights_that_give_no_numbers(self):
        class Broken(torch.nn.Module):
            def forward(self, x):
                return x.mean(dim=(2, 3)) * float("nan")

        with pytest.raises(ModelError, match="features are not finite; its weights are damaged"):
            list(extract_features(Broken(), Preprocess(2, (0.0,), (1.0,), CPU), [np.ones((1, 1, 2, 2), np.uint8)]))


class TestHead:
    @pytest.mark.parametrize("classes", [2, 3])
    def test_its_softmax_is_the_pipelines_probability(self, classes):
        rng = np.random.default_rng(classes)
        targets = np.arange(60) % classes
        features = (rng.normal(size=(60, 5)) + targets[:, None] * [1, 0.5, 0, -1, 2]) * [1, 100, 0.01, 3, 1] + 5
        features = np.column_stack([features, np.full(60, 4.0)]).astype(np.float32)  # one that never changes
        head = fit_head(features, targets, classes)
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=5000)).fit(
            features.astype(np.float64), targets
        )
        with torch.inference_mode():
            found = head(torch.from_numpy(features)).softmax(dim=1).numpy()
        assert found == pytest.approx(pipeline.predict_proba(features.astype(np.float64)), abs=1e-4)

    def test_it_does_not_depend_on_the_units_of_the_features(self):
        rng = np.random.default_rng(0)
        targets = np.arange(40) % 2
        features = (rng.normal(size=(40, 3)) + targets[:, None]).astype(np.float32)
        one, thousand = fit_head(features, targets, 2), fit_head(1000 * features, targets, 2)
        assert one.weight.detach().numpy() == pytest.approx(1000 * thousand.weight.detach().numpy(), abs=1e-4)
