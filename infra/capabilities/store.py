"""What the data stack owns and the other stacks are allowed into."""

from dataclasses import dataclass

from infra.capabilities.buckets import Buckets
from infra.capabilities.keys import Keys
from infra.capabilities.tables import Tables


@dataclass(frozen=True)
class Store:
    """Keys, buckets and tables."""

    keys: Keys
    buckets: Buckets
    tables: Tables
