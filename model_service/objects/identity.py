"""UIDs that are the same at every retry, made of names (PS3.5 B.2, RFC 9562 version 5)."""

import uuid

from model_service.objects.said import Said

_NAMESPACE = uuid.UUID("7d0f3a52-4e0b-5c1e-9b6a-2f6f7f1f1c53")


def uid(said: Said, *names: object) -> str:
    """Return a UID for something in the result of one model version for one study version.

    Parameters
    ----------
    said
        Study, version, model and digest of the bundle go into the name.
    names
        What it is the UID of.
    """
    parts = (said.study_uid, said.version, said.manifest.model_id, said.bundle_sha256, *names)
    return named("result", *parts)


def named(*names: object) -> str:
    """Return the UID of a name, whatever study it belongs to."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(str(name) for name in names)).int}"
