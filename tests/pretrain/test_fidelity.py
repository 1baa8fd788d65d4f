import numpy as np
import pytest

from spurgekit.pretrain.fidelity import distances, find_copies, kernel_distance, precision_recall


def normal(count, seed, shift=0.0, dims=8):
    return (np.random.default_rng(seed).normal(size=(count, dims)) + shift).astype(np.float32)


class TestKernelDistance:
    def test_worked_out_by_hand(self):
        # k(x, y) = (xy + 1)**3 of one number each; pairs within a set of four: all ones, k = 8; of zeros, k = 1; across, k = 1.
        ones, zeros = np.ones((4, 1), np.float32), np.zeros((4, 1), np.float32)
        assert kernel_distance(ones, zeros).value == pytest.approx(8 + 1 - 2 * 1)

    def test_equals_the_sum_over_pairs(self):
        a, b = normal(7, 0, 0.4), normal(9, 1)

        def k(x, y):
            return float((x.astype(np.float64) @ y / 8 + 1) ** 3)

        within_a = np.mean([k(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
        within_b = np.mean([k(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
        across = np.mean([k(x, y) for x in a for y in b])
        assert kernel_distance(a, b).value == pytest.approx(within_a + within_b - 2 * across)

    def test_is_zero_on_average_of_few_tiles_of_one_population(self):
        values = [kernel_distance(normal(20, 2 * seed), normal(12, 2 * seed + 1)).value for seed in range(400)]
        assert abs(np.mean(values)) < 3 * np.std(values) / 20

    def test_its_interval_holds_the_value_of_the_population(self):
        truth = kernel_distance(normal(3000, 90, 0.5), normal(3000, 91)).value
        found = [kernel_distance(normal(80, 2 * seed, 0.5), normal(80, 2 * seed + 1)) for seed in range(200)]
        assert 0.9 <= np.mean([one.low <= truth <= one.high for one in found]) <= 0.99

    def test_of_tiles_and_their_own_others(self):
        a = normal(30, 0)
        assert kernel_distance(a, a, paired=True).value == pytest.approx(0, abs=1e-9)
        assert kernel_distance(a, a).value < 0  # each tile is its own neighbour in the other set, which says nothing


class TestPrecisionRecall:
    def test_sets_that_are_one(self):
        assert precision_recall(normal(50, 0), normal(50, 0)) == (1, 1)

    def test_sets_that_are_apart(self):
        assert precision_recall(normal(50, 0), normal(50, 1, 100.0)) == (0, 0)

    def test_one_look_painted_again_and_again(self):
        real = np.concatenate([normal(40, 0), normal(40, 1, 30.0)])
        precision, recall = precision_recall(real, normal(40, 2))  # of the two looks that there are, one is painted
        assert precision > 0.7
        assert recall < 0.5


class TestCopies:
    def test_are_found(self):
        training, held_out, new = normal(200, 0), normal(100, 1), normal(40, 2)
        painted = np.concatenate([training[[7, 9]] + 1e-3, new])
        found = find_copies(training, held_out[:, None], painted[:, None], most=2)
        assert {found.nearest[0], found.nearest[1]} == {(0, 7), (1, 9)}
        assert found.share >= 2 / 42

    def test_are_found_that_were_turned(self):
        training, held_out, new = normal(200, 0), normal(100, 1), normal(2, 2)
        as_it_is, turned = new, np.stack([new[0], training[5]])
        found = find_copies(training, np.stack([held_out, held_out], axis=1), np.stack([as_it_is, turned], axis=1), most=1)
        assert found.nearest == ((1, 5),)
        assert found.share == 0.5

    def test_are_hardly_any_of_new_tiles(self):
        found = find_copies(normal(500, 0), normal(300, 1)[:, None], normal(300, 2)[:, None])
        assert found.share < 0.05
        assert found.painted == pytest.approx(found.held_out, rel=0.1)


def test_distances():
    assert distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [[5.0, 0.0]]
