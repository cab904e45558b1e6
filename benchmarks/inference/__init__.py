"""How fast is inference, beside stock MONAI on the same inputs and outputs?"""

from benchmarks.inference.report import run

__all__ = ["run"]
