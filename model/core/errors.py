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


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory did not suffice, the machine's or a GPU's."""
    return isinstance(error, MemoryError) or _is_of_torch(error, "OutOfMemoryError")


def is_gpu_failure(error: BaseException) -> bool:
    """Tell whether a GPU failed or went away while it worked."""
    return _is_of_torch(error, "AcceleratorError")


def _is_of_torch(error: BaseException, name: str) -> bool:
    """Compare names, since importing torch takes seconds."""
    return type(error).__name__ == name and type(error).__module__.startswith("torch")
