"""Record runs with MLflow: parameters once, metrics per epoch, files at the end.

MLflow's plain file store is in maintenance mode: it raises unless ``MLFLOW_ALLOW_FILE_STORE`` is true, and this
module sets that. Its successor, the SQLite store, needs SQLAlchemy and Alembic, which the small distribution of
MLflow does without; nothing here is worth those. Set ``MLFLOW_TRACKING_URI`` to record on a server instead.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")

from mlflow.entities import Metric, Param, RunStatus
from mlflow.tracking import MlflowClient

EXPERIMENT = "firstread"
STORE = "mlruns"
_RUN_ID = "mlflow_run"
# A store takes no longer value of a parameter, and no more parameters at once.
_LONGEST, _MOST = 500, 100


class Run:
    """One run that is being recorded.

    Parameters
    ----------
    client : mlflow.tracking.MlflowClient
        Connected to the store.
    run_id : str
        The run.
    """

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client = client
        self.run_id = run_id

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record metrics of a step (an epoch)."""
        stamp = round(time.time() * 1000)
        entries = [Metric(name, float(value), stamp, step) for name, value in values.items()]
        self._client.log_batch(self.run_id, metrics=entries)

    def artifact(self, path: Path) -> None:
        """Keep a copy of a file."""
        self._client.log_artifact(self.run_id, str(path))


@contextmanager
def run(name: str, params: Mapping[str, object], folder: Path | None = None) -> Iterator[Run]:
    """Record a run; it ends finished, or failed if the block raises.

    Parameters
    ----------
    name : str
        The run's name, such as that of its bundle.
    params : mapping of str to object
        Recorded once; nested mappings become dotted names.
    folder : pathlib.Path, optional
        Folder of the training run. A run that was recorded from it before is continued, and the store lies in
        it; without a folder the store is ``mlruns`` in the working directory. ``MLFLOW_TRACKING_URI`` overrides
        either store.

    Yields
    ------
    Run
        Takes metrics and artifacts.
    """
    store = (folder or Path()).resolve() / STORE
    client = MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or store.as_uri())
    run_id = _known(folder) or _create(client, name, params, folder)
    client.update_run(run_id, RunStatus.to_string(RunStatus.RUNNING))
    try:
        yield Run(client, run_id)
    except BaseException:
        client.set_terminated(run_id, RunStatus.to_string(RunStatus.FAILED))
        raise
    client.set_terminated(run_id)


def flatten(params: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Return nested parameters as text under dotted names.

    Examples
    --------
    >>> flatten({"seed": 1, "data": {"classes": ["a", "b"]}})
    {'seed': '1', 'data.classes': "['a', 'b']"}
    """
    flat: dict[str, str] = {}
    for key, value in params.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)[:_LONGEST]
    return flat


def _known(folder: Path | None) -> str | None:
    file = folder / _RUN_ID if folder else None
    return file.read_text(encoding="utf-8") if file and file.is_file() else None


def _create(client: MlflowClient, name: str, params: Mapping[str, object], folder: Path | None) -> str:
    known = client.get_experiment_by_name(EXPERIMENT)
    experiment = known.experiment_id if known else client.create_experiment(EXPERIMENT)
    run_id: str = client.create_run(experiment, run_name=name).info.run_id
    entries = [Param(key, value) for key, value in flatten(params).items()]
    for start in range(0, len(entries), _MOST):
        client.log_batch(run_id, params=entries[start : start + _MOST])
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _RUN_ID).write_text(run_id, encoding="utf-8")
    return run_id
