"""The AWS region of this process."""

import os


def region() -> str:
    """Return the region: Lambda sets both variables, ECS only ``AWS_REGION``, and boto3 reads only the other."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
