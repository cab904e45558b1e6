"""S3: buckets, key layout, and the only code that knows them."""

from firstread.storage.bucket import (
    Bucket,
    Form,
    PartUrl,
    Piece,
    StoredObject,
    checksum_of,
    client,
)
from firstread.storage.inventory import Inventory, Listed
from firstread.storage.keys import (
    AUDIT_PREFIX,
    FEED_PREFIX,
    METADATA_PREFIX,
    REVIEWS_PREFIX,
    STUDIES_PREFIX,
    bundle_key,
    feed_key,
    incoming_key,
    instance_key,
    metadata_key,
    result_key,
    review_key,
)

__all__ = [
    "AUDIT_PREFIX",
    "FEED_PREFIX",
    "METADATA_PREFIX",
    "REVIEWS_PREFIX",
    "STUDIES_PREFIX",
    "Bucket",
    "Form",
    "Inventory",
    "Listed",
    "PartUrl",
    "Piece",
    "StoredObject",
    "bundle_key",
    "checksum_of",
    "client",
    "feed_key",
    "incoming_key",
    "instance_key",
    "metadata_key",
    "result_key",
    "review_key",
]
