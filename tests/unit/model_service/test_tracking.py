from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from model_service.training import tracking


def _client(folder: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=(folder / tracking.STORE).resolve().as_uri())


def test_run_records_params_metrics_and_files(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("kept", encoding="utf-8")
    with tracking.run("vessels", {"seed": 3, "data": {"classes": ("a", "b")}}, tmp_path) as run:
        run.metrics({"loss": 0.5}, 1)
        run.metrics({"loss": 0.25}, 2)
        run.artifact(note)
    recorded = _client(tmp_path).get_run(run.run_id)
    assert recorded.data.params == {"seed": "3", "data.classes": "('a', 'b')"}
    assert recorded.info.status == "FINISHED"
    assert [(m.step, m.value) for m in _client(tmp_path).get_metric_history(run.run_id, "loss")] == [
        (1, 0.5),
        (2, 0.25),
    ]
    assert [file.path for file in _client(tmp_path).list_artifacts(run.run_id)] == ["note.txt"]


def test_run_of_a_folder_is_continued(tmp_path: Path) -> None:
    with tracking.run("a", {"seed": 1}, tmp_path) as first:
        first.metrics({"loss": 1.0}, 1)
    with tracking.run("a", {"seed": 1}, tmp_path) as second:
        second.metrics({"loss": 0.5}, 2)
    assert first.run_id == second.run_id
    assert len(_client(tmp_path).get_metric_history(first.run_id, "loss")) == 2


def test_run_that_raises_has_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyError), tracking.run("a", {}, tmp_path) as run:
        raise KeyError
    assert _client(tmp_path).get_run(run.run_id).info.status == "FAILED"


def test_many_and_long_params_are_taken(tmp_path: Path) -> None:
    with tracking.run("a", {f"p{i}": "x" * 9000 for i in range(250)}, tmp_path) as run:
        pass
    assert len(_client(tmp_path).get_run(run.run_id).data.params) == 250


def test_without_a_folder_the_store_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with tracking.run("a", {"seed": 1}) as run:
        pass
    assert _client(tmp_path).get_run(run.run_id).data.params == {"seed": "1"}
