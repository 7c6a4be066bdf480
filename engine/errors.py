"""The error tree: what a person can mend. Anything else is our bug and keeps its traceback."""


class TouchstoneError(Exception):
    """Its message is for the user: the thing, the reason, the next step, in one or two sentences."""


class InvalidInput(TouchstoneError):
    """What was handed in cannot be used as it is."""


class NotFound(TouchstoneError):
    """A name that nothing answers to."""


class Busy(TouchstoneError):
    """Someone else's work is in the way; it can be waited for or stopped."""


class Unavailable(TouchstoneError):
    """A service, a disk or a package that is needed is not there."""
