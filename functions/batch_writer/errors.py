"""What stops an invocation. (What is wrong with one operation is a value: `items.Rejection`.)

    SluiceError
    ├── SettingsError         an environment variable is missing or wrong
    ├── EventError            the event is not one that SQS sent
    ├── TableError            the table, the permission or the settings are wrong: nobody's bad message
    └── NothingWrittenError   the table refused or did not answer, and nothing of the invocation was done

Every one of them makes Lambda put the whole batch back on the queue. Nothing has been dead-lettered by then.
"""


class SluiceError(Exception):
    """Base of all that this function raises on purpose."""


class SettingsError(SluiceError):
    """An environment variable is missing or wrong; the text names the variable and the value."""


class EventError(SluiceError):
    """The event cannot be handled: it is not from SQS."""


class TableError(SluiceError):
    """A table is missing, access to it is denied, or TABLES does not describe it as it is."""


class NothingWrittenError(SluiceError):
    """The table refused or did not answer, and no message of the invocation was written or dead-lettered.

    Raised after the visibilities are set, so that Lambda itself slows its polling.
    """
