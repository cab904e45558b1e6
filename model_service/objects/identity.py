"""UIDs that are the same at every retry, made of names (PS3.5 B.2, RFC 9562 version 5)."""

from firstread.objects.identity import named
from model_service.objects.said import Said


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
