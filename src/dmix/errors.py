"""The exception for mistakes that the user can correct: what is wrong, and the way out."""


class DmixError(Exception):
    """An error with a message for the user, shown without traceback.

    Parameters
    ----------
    message: what is wrong; it names the file, key, run or value. Characters that cannot be printed, which a
        file may hold to move a terminal's cursor, are shown as escapes.
    way_out: the command or edit that corrects it, or "" if the message says it.
    exit_code: the process exit status; 2 is bad input, 1 any other failure.
    """

    def __init__(self, message: str, way_out: str = "", exit_code: int = 2) -> None:
        message = _printable(message)
        super().__init__(message)
        self.message = message
        self.way_out = way_out
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message}\n  {self.way_out}" if self.way_out else self.message


def _printable(text: str) -> str:
    """Return `text` with every character that cannot be printed, but for line breaks, as its escape."""
    return "".join(
        mark if mark.isprintable() or mark == "\n" else mark.encode("unicode_escape").decode()
        for mark in text
    )
