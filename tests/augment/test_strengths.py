"""Strengths of edits as a distribution."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.augment.methods import PUBLISHED_STRENGTHS
from spurgekit.augment.strengths import Strengths, parse_strengths
from spurgekit.dataset.shots import ALL_SHOTS
from spurgekit.errors import InputError


class TestParse:
    @pytest.mark.parametrize("text", ["0.5", PUBLISHED_STRENGTHS, "0.1-0.3", "1:0.5-1;8:0.1-0.3", "1:0.5;4:0.25,0.5;16:0.1"])
    def test_says_again_what_it_read(self, text):
        assert str(parse_strengths(text)) == text

    def test_schedules_hold_from_their_shots_on(self):
        schedule = parse_strengths("2:0.8;8:0.4;16:0.1")
        assert [str(schedule.at(n)) for n in (1, 2, 4, 8, 15, 16, 99, ALL_SHOTS)] == [
            "0.8",
            "0.8",
            "0.8",
            "0.4",
            "0.4",
            "0.1",
            "0.1",
            "0.1",
        ]

    def test_exponents_are_no_ranges(self):
        assert parse_strengths("5e-1").at(1).values == (0.5,)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", r"'' are no strengths; pass e\.g\. 1,0\.75,0\.5,0\.25 or 0\.1-0\.3"),
            ("strong", "'strong' are no strengths"),
            ("0.5;0.2", "are no strengths"),
            ("0:0.5", "are no strengths"),
            ("4:0.5;4:0.2", "are no strengths"),
            ("1.5", "pass numbers above 0, at most 1"),
            ("0,0.5", "pass numbers above 0, at most 1"),
            ("0.6-0.2", "ranges from the lower to the higher"),
            ("nan", "pass numbers above 0, at most 1"),
        ],
    )
    def test_refuses_in_one_line(self, text, message):
        with pytest.raises(InputError, match=message) as caught:
            parse_strengths(text)
        assert "\n" not in str(caught.value)


class TestLevels:
    @given(st.integers(1, 200))
    def test_a_range_has_one_level_a_step(self, steps):
        levels = Strengths(low=1e-6, high=1).levels(steps)
        assert [int(steps * level) for level in levels] == list(range(1, steps + 1))
        assert max(levels) == 1

    def test_less_than_one_step(self):
        with pytest.raises(
            InputError, match=r"0\.03 is less than one of 25 steps; pass a strength of 0\.04 or more, or `steps=34`"
        ):
            parse_strengths("0.5,0.03").at(1).levels(25)

    def test_a_range_between_two_steps(self):
        with pytest.raises(InputError, match=r"no strength of whole steps is between 0\.11 and 0\.19 in 10 steps; pass more"):
            parse_strengths("0.11-0.19").at(1).levels(10)


class TestDraw:
    @given(st.integers(1, 60), st.text(max_size=5))
    def test_each_level_is_drawn_as_often_as_the_others(self, count, name):
        drawn = Counter(parse_strengths(PUBLISHED_STRENGTHS).at(1).draw(count, 25, name))
        assert sum(drawn.values()) == count
        assert max(drawn.values()) - min(drawn[value] for value in (1, 0.75, 0.5, 0.25)) <= 1

    def test_names_fix_the_order(self):
        strengths = parse_strengths("0.1-0.9").at(1)
        assert strengths.draw(12, 25, "tile", 1) == strengths.draw(12, 25, "tile", 1)
        assert strengths.draw(12, 25, "tile", 1) != strengths.draw(12, 25, "tile", 2)
        assert strengths.draw(12, 25, "tile", 1)[:5] == strengths.draw(5, 25, "tile", 1)
