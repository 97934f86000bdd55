"""Reading several files at once changes nothing but the time."""

import threading

import pytest

from ptn_backtest.prices.ahead import read_in_order


@pytest.mark.parametrize("at_once", [1, 2, 16])
@pytest.mark.parametrize("n_files", [0, 1, 2, 40])
def test_what_is_read_comes_in_the_order_of_the_files(n_files: int, at_once: int) -> None:
    found = list(read_in_order(lambda file: file * file, range(n_files), at_once))
    assert found == [file * file for file in range(n_files)]


def test_no_more_are_read_than_may_be_held() -> None:
    begun: list[int] = []

    def read(file: int) -> int:
        begun.append(file)
        return file

    reading = read_in_order(read, range(10), 3)
    assert next(reading) == 0
    assert begun == [0]  # by itself
    assert next(reading) == 1
    reading.close()
    assert set(begun) <= {0, 1, 2, 3}


def test_a_fault_comes_in_its_turn_and_leaves_no_thread() -> None:
    def read(file: int) -> int:
        if file == 3:
            raise ValueError("file 3")
        return file

    found: list[int] = []
    before = threading.active_count()
    with pytest.raises(ValueError, match="file 3"):
        found.extend(read_in_order(read, range(30), 4))  # one after the other
    assert found == [0, 1, 2]
    assert threading.active_count() == before
