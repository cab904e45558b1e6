"""Loaded models, kept while there is memory for them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

from firstread.handling import describe
from firstread.routing import RegisteredModel
from model_service.log import logger
from model_service.prediction import Model


class Models:
    """The models of a worker, least recently used out first.

    Parameters
    ----------
    folder
        Returns the bundle folder of a registered model.
    load
        Loads a bundle folder.
    limit_bytes
        Memory for all of them; one model alone may be larger.
    """

    def __init__(
        self,
        folder: Callable[[RegisteredModel], Path],
        load: Callable[[Path], Model],
        limit_bytes: int = 4 * 1024**3,
    ) -> None:
        self._folder, self._load, self._limit = folder, load, limit_bytes
        self._loaded: OrderedDict[str, Model] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, registered: RegisteredModel) -> Model:
        """Return a model, loaded now or before.

        Parameters
        ----------
        registered
            As the pipeline knows it; another bundle under the same id is loaded anew.
        """
        # One load at a time: two at once would need twice the memory.
        with self._lock:
            key = f"{registered.model_id} {registered.bundle_sha256}"
            if key not in self._loaded:
                self._loaded[key] = self._load(self._folder(registered))
                self._shrink(key)
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def warm_up(self, registered: Iterable[RegisteredModel]) -> None:
        """Load models ahead, as far as memory goes: the first patient should not wait for an engine.

        What cannot be loaded is said in the log, and again by the first request for it.
        """
        for each in registered:
            try:
                size = self.get(each).size_bytes
            except Exception as error:
                logger.error("model not loaded", extra={**describe(error), "model": each.model_id})
                continue
            if size + sum(model.size_bytes for model in self._loaded.values()) > self._limit:
                return

    def forget(self, model: Model) -> None:
        """Drop a model, such as one that did not come back from an analysis."""
        with self._lock:
            for key in [key for key, each in self._loaded.items() if each is model]:
                del self._loaded[key]

    def _shrink(self, newest: str) -> None:
        while sum(each.size_bytes for each in self._loaded.values()) > self._limit:
            oldest = next(iter(self._loaded))
            if oldest == newest:
                return
            del self._loaded[oldest]
            logger.info("model put aside", extra={"model": oldest.partition(" ")[0]})
