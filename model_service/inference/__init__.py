"""From images and volumes to predictions, with any engine; no torch, no MONAI."""

from model_service.inference.load import load_model

__all__ = ["load_model"]
