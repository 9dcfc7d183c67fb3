"""Endpoints in words: what happens, and the name of the curve of those to whom it has not."""

EVENTS = {
    "os": ("death", "overall survival"),
    "pfs": ("progression or death", "progression-free survival"),
    "local_control": ("local failure", "local control"),
    "intracranial_pfs": ("intracranial progression or death", "intracranial progression-free survival"),
}


def event_words(endpoint: str) -> tuple[str, str]:
    """Return what happens, and the name of the curve.

    >>> event_words("os")
    ('death', 'overall survival')
    """
    shown = endpoint.replace("_", " ")
    return EVENTS.get(endpoint, (f"an event ({shown})", f"freedom from event ({shown})"))
