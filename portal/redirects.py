"""Where to go after sign-in."""

from urllib.parse import urlsplit

from firstread.policy import Action, Actor, can

HOME = "/"
AUDIT = "/audit"
_LONGEST = 512


def home_of(actor: Actor) -> str:
    """Return where somebody's work is: the worklist, or the audit trail for who may see only that."""
    if can(actor, Action.WORKLIST_VIEW).allowed or not can(actor, Action.AUDIT_VIEW).allowed:
        return HOME
    return AUDIT


def safe_next(target: str) -> str:
    """Return a path of this portal, or the worklist where `target` leads anywhere else.

    Browsers read a backslash as a slash, drop tabs and line breaks, and take ``//host`` as another site.
    """
    if not target or len(target) > _LONGEST or not target.isascii() or not target.isprintable():
        return HOME
    if not target.startswith("/") or target.startswith("//") or "\\" in target or " " in target:
        return HOME
    try:
        parts = urlsplit(target)
    except ValueError:
        return HOME
    if parts.scheme or parts.netloc or parts.path.startswith(("/sign-in", "//")):
        return HOME
    return target
