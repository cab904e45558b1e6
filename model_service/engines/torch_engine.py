"""The network of a bundle in torch: on a GPU with automatic mixed precision, or eager on a CPU."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_FULL = ("not enough memory", "can't allocate memory", "out of memory")


class TorchEngine:
    """A network in evaluation and inference mode, channels last.

    Parameters
    ----------
    network : torch.nn.Module
        Gives a tuple of outputs, such as `network.ServedNetwork`.
    device : {"cpu", "cuda"}
        Where it runs; the work of one engine is one stream.
    precision : {"fp32", "bf16", "fp16"}
        Of the layers that gain by it and lose little; sums and outputs are fp32 (torch.autocast).
    threads : int
        Threads of the CPU, of the whole process.
    compiled : bool
        Whether torch.compile is asked to fuse kernels: the first batch of each shape then takes up to minutes.
    """

    def __init__(
        self, network: nn.Module, device: str, precision: str, threads: int = 1, *, compiled: bool = False
    ) -> None:
        self.name = f"torch-{device}"
        self.precision = precision
        self._device = torch.device(device)
        self._type = _TYPES[precision]
        if device == "cpu":
            torch.set_num_threads(threads)
        self._network = network.eval().requires_grad_(False).to(self._device)
        _channels_last(self._network)
        self._run = torch.compile(self._network) if compiled else self._network

    def run(self, batch: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        """Return the outputs of a batch; see `prediction.Engine`."""
        try:
            return self._outputs(batch)
        except torch.OutOfMemoryError:
            pass
        except RuntimeError as error:  # of the CPU's allocator, which has no type of its own
            if not any(each in str(error) for each in _FULL):
                raise
        if self._device.type == "cuda":
            torch.cuda.empty_cache()  # pieces of the failed batch, which a smaller one could not use
        raise MemoryError

    @torch.inference_mode()
    def _outputs(self, batch: npt.NDArray[np.float32]) -> Sequence[npt.NDArray[Any]]:
        host = torch.from_numpy(batch if batch.flags.writeable else batch.copy())
        on_cuda = self._device.type == "cuda"
        if on_cuda:
            host = host.pin_memory()  # so that the copy does not wait for the device
        values = host.to(self._device, non_blocking=on_cuda)
        values = values.contiguous(memory_format=_format(values.ndim))
        with torch.autocast(self._device.type, self._type, enabled=self.precision != "fp32"):
            outputs: tuple[Tensor, ...] = self._run(values)
        copies = [each.float().to("cpu", non_blocking=on_cuda) for each in outputs]
        if on_cuda:
            torch.cuda.synchronize(self._device)
        return [each.numpy() for each in copies]


def _format(dimensions: int) -> torch.memory_format:
    return torch.channels_last if dimensions == 4 else torch.channels_last_3d


def _channels_last(network: nn.Module) -> None:
    """Lay the kernels of convolutions as their inputs are laid, which differs between 2-D and 3-D ones."""
    for parameter in network.parameters():
        if parameter.ndim in (4, 5):
            parameter.data = parameter.data.contiguous(memory_format=_format(parameter.ndim))
