import os
from pathlib import Path

import pytest

from model_service.engines.cores import cpu_share, processor


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("max 100000", 16),
        ("9900000 100000", 16),
    ],
)
def test_quota_of_version_2(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n", encoding="ascii")
    assert cpu_share(tmp_path) == expected


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(("quota", "expected"), [("400000", 4), ("-1", 16)])
def test_quota_of_version_1(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota, encoding="ascii")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000", encoding="ascii")
    assert cpu_share(tmp_path) == expected


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("text", ["", "two of them", "100000 0"])
def test_files_that_say_nothing_limit_nothing(tmp_path: Path, text: str) -> None:
    assert cpu_share(tmp_path) == 16
    (tmp_path / "cpu.max").write_text(text, encoding="ascii")
    assert cpu_share(tmp_path) == 16


def test_this_machine() -> None:
    assert 1 <= cpu_share() <= (os.cpu_count() or 1)
    assert isinstance(processor(), str)
