"""The one kind of error that is the user's to mend."""


class UserError(ValueError):
    """Wrong input, told in one sentence: the offending value and what would be right.

    The tools print it without a traceback; in Python it is a ``ValueError``.
    """
