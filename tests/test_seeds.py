import random
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.seeds import seed_of, seeded


def draws():
    """The next number of each generator that libraries draw from."""
    return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002


def states():
    """The state of each, to compare."""
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002


class TestSeedOf:
    def test_the_same_on_every_machine_and_in_every_version(self):
        # The first 4 bytes, least first, of "sha256sum" of "site_r00001_c00002/cutmix/3" (77be6c61...) and of "" (e3b0c442...).
        assert seed_of("site_r00001_c00002", "cutmix", 3) == 0x616CBE77
        assert seed_of("") == 0x42C4B0E3

    @given(st.lists(st.one_of(st.text(), st.integers()), min_size=1))
    def test_every_generator_takes_it(self, names):
        assert 0 <= seed_of(*names) < 2**32

    def test_names_have_an_order(self):
        assert len({seed_of("a", "b"), seed_of("b", "a"), seed_of("ab"), seed_of("a"), seed_of("b")}) == 5


class TestSeeded:
    def test_the_same_seed_draws_the_same_from_every_generator(self):
        with seeded(7):
            first = draws()
        with seeded(7):
            again = draws()
        with seeded(8):
            other = draws()
        assert first == again
        assert all(one != two for one, two in zip(first, other, strict=True))

    def test_they_are_seeded_as_by_hand(self):
        with seeded(7):
            found = draws()
        expected = (
            random.Random(7).random(),
            np.random.RandomState(7).rand(),
            torch.rand(1, generator=torch.Generator().manual_seed(7)).item(),
        )
        assert found == expected

    def test_generators_are_put_back(self):
        before = states()
        with seeded(7):
            draws()
        assert states() == before

    def test_also_after_an_error(self):
        before = states()
        with pytest.raises(KeyError), seeded(7):
            draws()
            raise KeyError
        assert states() == before

    def test_a_block_within_a_block_leaves_the_outer_one_as_it_was(self):
        with seeded(7):
            first, second = draws(), draws()
        with seeded(7):
            one = draws()
            with seeded(8):
                draws()
            two = draws()
        assert (one, two) == (first, second)

    def test_threads_take_turns(self):
        with seeded(1):
            expected = draws()
        before, found = states(), []
        inside, go_on = threading.Event(), threading.Event()

        def first():
            with seeded(1):
                inside.set()
                go_on.wait(10)
                found.append(draws())

        def second():
            inside.wait(10)
            with seeded(2):
                draws()

        threads = [threading.Thread(target=first), threading.Thread(target=second)]
        for thread in threads:
            thread.start()
        inside.wait(10)
        threads[1].join(0.2)  # time enough to spoil what the first one draws, were it let in
        assert threads[1].is_alive()
        go_on.set()
        for thread in threads:
            thread.join(10)
        assert found == [expected]
        assert states() == before

    @pytest.mark.gpu
    def test_gpus_are_seeded_and_put_back(self):
        torch.rand(1, device="cuda")  # now it is in use
        before = torch.cuda.get_rng_state()
        found = []
        for _ in range(2):
            with seeded(7):
                found.append(torch.rand(3, device="cuda").tolist())
        assert found[0] == found[1]
        assert torch.equal(torch.cuda.get_rng_state(), before)
