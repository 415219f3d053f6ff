"""What can go wrong with a local stack without being a bug. A message says what to do, or shows a log."""


class StackError(Exception):
    """An expected failure of the local stack, to be shown without a traceback."""


class AlreadyRunning(StackError):
    """Another supervisor holds this state folder."""


class PortTaken(StackError):
    """A port that the stack needs is in use by another program."""


class StartFailed(StackError):
    """A program ended, or did not answer its probe in time; the message carries the end of its log."""


class PreparationFailed(StackError):
    """A preparing program ended with an error; the message carries what it printed."""


class JarUnavailable(StackError):
    """A jar could not be fetched with the content that the lock file names."""


class NoFooting(StackError):
    """Root, and neither a user namespace nor another uid can be had for Postgres."""
