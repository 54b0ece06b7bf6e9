"""The exception for mistakes that the user can correct: what is wrong, and the way out."""


class DmixError(Exception):
    """An error with a message for the user, shown without traceback.

    Parameters
    ----------
    message: what is wrong; it names the file, key, run or value.
    way_out: the command or edit that corrects it, or "" if the message says it.
    exit_code: the process exit status; 2 is bad input, 1 any other failure.
    """

    def __init__(self, message: str, way_out: str = "", exit_code: int = 2) -> None:
        super().__init__(message)
        self.message = message
        self.way_out = way_out
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message}\n  {self.way_out}" if self.way_out else self.message
