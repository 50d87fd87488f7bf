"""What stops an invocation. (What is wrong with one operation is a value: `items.Rejection`.)

    SluiceError
    ├── SettingsError         an environment variable is missing or wrong
    ├── EventError            the event is not one that SQS sent
    ├── TableError            the table, the permission or the settings are wrong: nobody's bad message
    └── NothingWrittenError   the table refused or did not answer, and nothing of the invocation was done

Every one of them makes Lambda put the whole batch back on the queue, and count an error. Nothing has been dead-lettered
by then. Lambda polls as fast as before: with ReportBatchItemFailures it does not slow down after an error. What slows
the loop is the visibility of the messages: the queue's own, or that which was set before the error.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""


class SluiceError(Exception):
    """Base of all that this function raises on purpose."""


class SettingsError(SluiceError):
    """An environment variable is missing or wrong; the text names the variable and the value."""


class EventError(SluiceError):
    """The event cannot be handled: it is not from SQS."""


class TableError(SluiceError):
    """A table is missing, access to it is denied, TABLES does not describe it, or it refuses everything alike."""


class NothingWrittenError(SluiceError):
    """The table refused or did not answer, and no message of the invocation was written or dead-lettered.

    Raised after the visibilities are set, so that the invocation counts as an error; the visibilities, which grow with
    each receive, keep the messages from coming back at once.
    """
