"""UIDs that are the same at every retry, made of names (PS3.5 B.2, RFC 9562 version 5)."""

import uuid

_NAMESPACE = uuid.UUID("7d0f3a52-4e0b-5c1e-9b6a-2f6f7f1f1c53")


def named(*names: object) -> str:
    """Return the UID of a name (PS3.5 B.2, RFC 9562 version 5): the same at every retry."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(str(name) for name in names)).int}"
