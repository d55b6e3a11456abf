"""What can go wrong with a simulated cluster, said so that a person can act on it."""


class SimError(Exception):
    """The simulated cluster could not do what was asked.

    ``message`` says what is wrong; ``do`` says what to do about it.
    """

    def __init__(self, message: str, do: str) -> None:
        super().__init__(message)
        self.message = message
        self.do = do

    def __str__(self) -> str:
        return f"{self.message}\n  do: {self.do}"


class MissingToolError(SimError):
    """Something that must be installed first is not there (the command's exit code 3)."""
