from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spurgekit.parallel import cores, stream_map


class Watched:
    """An executor that works at once and knows how many units were drawn and not yet handed out."""

    def __init__(self):
        self.submitted = 0

    def submit(self, function, *arguments):
        self.submitted += 1
        future = Future()
        try:
            future.set_result(function(*arguments))
        except ZeroDivisionError as error:
            future.set_exception(error)
        return future


@given(st.lists(st.integers()), st.integers(1, 8), st.integers(1, 4))
def test_results_come_in_the_order_of_the_units(units, in_flight, threads):
    with ThreadPoolExecutor(threads) as executor:
        assert list(stream_map(executor, lambda n: n + 1, units, in_flight=in_flight)) == [n + 1 for n in units]


@given(st.integers(0, 30), st.integers(1, 8))
def test_units_are_drawn_no_faster_than_they_are_worked_off(count, in_flight):
    executor = Watched()
    for taken, _ in enumerate(stream_map(executor, str, iter(range(count)), in_flight=in_flight)):
        assert executor.submitted - taken <= in_flight


def test_units_without_end():
    def forever():
        n = 0
        while True:
            yield n
            n += 1

    results = stream_map(Watched(), float, forever(), in_flight=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]


def test_an_error_comes_where_its_unit_would():
    results = stream_map(Watched(), lambda n: 1 / n, [2, 1, 0, 4], in_flight=2)
    assert [next(results), next(results)] == [0.5, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_what_waits_is_cancelled_when_nobody_listens_any_more():
    futures = []

    class Idle:
        def submit(self, function, unit):
            futures.append(Future())
            if unit == 0:
                futures[0].set_result(function(unit))
            return futures[-1]

    results = stream_map(Idle(), str, range(10), in_flight=3)
    assert next(results) == "0"
    results.close()
    assert [future.cancelled() for future in futures] == [False, True, True]


def test_at_least_one_core():
    assert cores() >= 1
