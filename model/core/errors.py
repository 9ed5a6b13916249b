"""The ways in which Stillmotion's work ends early without being a bug."""


class BadInput(ValueError):  # noqa: N818 - names what the person gave, as `click.BadParameter` does
    """Something that a person gave cannot be used.

    The message is one sentence for that person: what is wrong, and what would be right. The command line
    prints it and exits with 2; the web answers with a 4xx status.
    """


class Unreachable(BadInput):
    """Storage or Redis does not answer. What was asked for may be there yet."""


class Stopped(Exception):  # noqa: N818 - a request that was honoured, not an error
    """The caller's `should_stop` asked for the work to end; nothing half written is left behind."""
