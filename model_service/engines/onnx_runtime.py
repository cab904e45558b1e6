"""The graph of a bundle on ONNX Runtime's CPU provider."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

_FULL = ("allocate memory", "bad_alloc", "bad allocation")


class OnnxRuntimeEngine:
    """A session of ONNX Runtime; fp32, the only precision that it computes in on a CPU.

    Parameters
    ----------
    graph : pathlib.Path
        The ONNX file.
    threads : int
        Threads that share one batch.
    """

    name = "onnxruntime"
    precision = "fp32"

    def __init__(self, graph: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait take the processor from those that decode the next images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def run(self, batch: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """Return the outputs of a batch; see `prediction.Engine`."""
        try:
            outputs: Sequence[npt.NDArray[Any]] = self._session.run(None, {self._input: batch})
        except RuntimeException as error:
            if any(each in str(error) for each in _FULL):
                raise MemoryError from None
            raise
        return outputs
