"""The key layout.

Keys are generated and made of ``[A-Za-z0-9._/-]`` only: a file name may carry a patient's name, and some event
paths decode ``+`` and ``%`` in keys while others do not.
"""

import uuid

from firstread.arrival import PREFIX, Lane

FEED_PREFIX = "feed/"
"""Below it, in the incoming bucket, are messages of the hospital's feeds."""
STUDIES_PREFIX = "studies/"
"""Below it, in the studies bucket, are de-identified instances, a folder per study."""
METADATA_PREFIX = "metadata/"
"""Below it, in the results bucket, is the metadata of series as DICOMweb serves it; it can be made anew."""
AUDIT_PREFIX = "audit/"
"""Below it, in the audit bucket, are the daily exports of the audit trail."""
REVIEWS_PREFIX = "reviews/"
"""Below it, in the results bucket, are the objects of signed reviews."""


def incoming_key(lane: Lane = Lane.ROUTINE) -> str:
    """Return a new key for an arriving object; the lane decides which queue its event waits in."""
    return f"{PREFIX}{lane.value}/{uuid.uuid4().hex}"


def feed_key() -> str:
    """Return a new key for a message of a hospital's feed."""
    return f"{FEED_PREFIX}{uuid.uuid4().hex}"


def instance_key(study_uid: str, series_uid: str, sop_uid: str, digest: str) -> str:
    """Return the key of a de-identified instance; other content gets another key, so nothing is overwritten."""
    return f"{STUDIES_PREFIX}{study_uid}/{series_uid}/{sop_uid}/{digest[:16]}.dcm"


def result_key(study_uid: str, sha256: str, suffix: str) -> str:
    """Return the content-addressed key of a part of a study's results, such as an overlay (suffix ``png``)."""
    return f"results/{study_uid}/{sha256}.{suffix}"


def review_key(study_uid: str, sha256: str) -> str:
    """Return the content-addressed key of a DICOM object of a signed review."""
    return f"{REVIEWS_PREFIX}{study_uid}/{sha256}.dcm"


def metadata_key(study_uid: str, name: str) -> str:
    """Return the key of a series' metadata in the results bucket; `name` says what it was made of."""
    return f"{METADATA_PREFIX}{study_uid}/{name}.json.gz"


def bundle_key(sha256: str) -> str:
    """Return the key of a bundle's archive in the models bucket, by the digest of its files."""
    return f"bundles/{sha256}.zip"
