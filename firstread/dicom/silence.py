"""pydicom without its texts: they quote values of the dataset, and would take them to logs and terminals."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

_NOWHERE = logging.NullHandler()
_lock = Lock()
_inside = 0
_restore = ExitStack()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom from validating, warning or logging.

    What this changes belongs to the whole process: the first thread that comes in changes it and the last one that
    leaves changes it back, so that nobody's texts are heard while another still reads.
    """
    global _inside
    with _lock:
        if not _inside:
            _restore.enter_context(_silence())
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _restore.close()


@contextmanager
def _silence() -> Iterator[None]:
    from pydicom import config

    logger = logging.getLogger("pydicom")
    before = logger.disabled, logger.propagate
    # Its children hand their records up to it; with nowhere to go from there they would reach stderr.
    logger.addHandler(_NOWHERE)
    logger.disabled, logger.propagate = True, False
    try:
        with config.disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled, logger.propagate = before
        logger.removeHandler(_NOWHERE)
