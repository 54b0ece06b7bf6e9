"""The one way dmix reports what a person can put right: what is wrong, and the way out."""


class DmixError(Exception):
    """A failure with a message for people: no traceback is shown for it.

    Parameters
    ----------
    message: what is wrong, naming the file, key, run or value.
    way_out: the command or edit that puts it right, or "" where the message already says it.
    exit_code: the process exit status; 2 is bad input, 1 any other failure.
    """

    def __init__(self, message: str, way_out: str = "", exit_code: int = 2) -> None:
        super().__init__(message)
        self.message = message
        self.way_out = way_out
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message}\n  {self.way_out}" if self.way_out else self.message
