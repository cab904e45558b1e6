"""The graph of a bundle on OpenVINO's CPU plug-in."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

_FULL = ("bad_alloc", "bad allocation", "allocate memory")
_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}


class OpenVinoEngine:
    """A compiled model of OpenVINO.

    Parameters
    ----------
    graph : pathlib.Path
        The ONNX file.
    threads : int
        Threads that share one batch.
    precision : str
        ``fp32`` or ``bf16``. Always set: left to itself OpenVINO takes bf16 where the processor has it, and the
        scores would differ between machines.
    """

    name = "openvino"

    def __init__(self, graph: Path, threads: int = 1, precision: str = "fp32") -> None:
        self.precision = precision
        settings = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
        }
        compiled = openvino.Core().compile_model(str(graph), "CPU", settings)
        self._request = compiled.create_infer_request()
        self._outputs = len(compiled.outputs)

    def run(self, batch: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """Return the outputs of a batch; see `prediction.Engine`."""
        try:
            found = self._request.infer({0: batch}, share_inputs=True)
        except RuntimeError as error:
            if any(each in str(error) for each in _FULL):
                raise MemoryError from None
            raise
        return [found[index] for index in range(self._outputs)]


def can_compute(precision: str) -> bool:
    """Tell whether this processor computes in that precision, and does not only imitate it."""
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return precision == "fp32" or precision.upper() in capabilities
