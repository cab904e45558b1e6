"""pydicom keeps its voice down for as long as anybody reads, in whichever thread."""

import logging
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from pydicom import config
from pydicom.dataset import Dataset

from firstread.dicom.silence import quiet


def _heard() -> tuple[object, ...]:
    logger = logging.getLogger("pydicom")
    return (
        config.settings.reading_validation_mode,
        config.settings.writing_validation_mode,
        logger.disabled,
        logger.propagate,
        list(logger.handlers),
        list(warnings.filters),
    )


def _says_nothing() -> bool:
    warnings.warn("of a value", UserWarning, stacklevel=1)  # an error in these tests, where it is heard
    Dataset().StudyDate = "not a date"
    return logging.getLogger("pydicom").disabled


def test_who_comes_first_and_leaves_first_takes_nobody_elses_quiet_away() -> None:
    before = _heard()
    both, left = Barrier(2), Barrier(2)

    def first() -> None:
        with quiet():
            both.wait()
        left.wait()

    def second() -> bool:
        with quiet():
            both.wait()
            left.wait()
            return _says_nothing()

    with ThreadPoolExecutor(2) as pool:
        gone, found = pool.submit(first), pool.submit(second)
        gone.result()
        assert found.result()
    assert _heard() == before


def test_within_itself() -> None:
    before = _heard()
    with quiet():
        with quiet():
            pass
        assert _says_nothing()
    assert _heard() == before
    with pytest.raises(UserWarning, match="of a value"):
        _says_nothing()


def test_an_error_within_leaves_nothing_behind() -> None:
    before = _heard()
    with pytest.raises(KeyError), quiet():
        raise KeyError
    assert _heard() == before
