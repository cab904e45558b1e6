"""One local run, started by the command as a user would, shared by the tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.support.system import Run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    started = Run.at(tmp_path_factory.mktemp("home"))
    started.up()
    yield started
    started.firstread("down")
