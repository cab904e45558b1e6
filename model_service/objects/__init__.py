"""What a model says of a study version, as standard objects: SEG, SR, GSPS, parametric map, PDF, HTML, pictures."""

from model_service.objects.describe import describe
from model_service.objects.said import Described, Remark, Said, Written

__all__ = ["Described", "Remark", "Said", "Written", "describe"]
