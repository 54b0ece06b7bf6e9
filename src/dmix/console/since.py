"""Reads what people write for a time in the past: a duration such as 90m, 12h or 3d, or a date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from dmix.errors import DmixError

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, now: datetime | None = None) -> datetime:
    """Return the time that `text` names, in UTC.

    Parameters
    ----------
    text: a number and m, h, d or w, so long before `now`; or a date or time by ISO 8601, without a zone in
        local time. now: by default the present.

    Raises
    ------
    DmixError: it is neither.
    """
    if found := re.fullmatch(r"(\d{1,5}(?:\.\d+)?)([mhdw])", text.strip()):
        return (now or datetime.now(UTC)) - timedelta(**{UNITS[found[2]]: float(found[1])})
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DmixError(
            f"--since {text!r} is no time", "write 90m, 12h, 3d, 2w, or 2026-11-28, or 2026-11-28T08:00"
        ) from error
