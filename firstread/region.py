"""The AWS region of this process."""

import os
from threading import Lock

making = Lock()
"""Held while a client is made: boto3 makes all of them of one session, which takes one thread at a time."""


def region() -> str:
    """Return the region: Lambda sets both variables, ECS only ``AWS_REGION``, and boto3 reads only the other."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
