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
