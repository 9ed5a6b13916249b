"""Processes: ending with the one that started them, telling whether one is gone, and their memory."""

import ctypes
import os
import resource
import signal
import sys

import psutil

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""

REUSE_SECONDS = 60.0
"""A process that began so long after a file was written to is another one that has got the same number."""


def end_with_parent(signal_number: signal.Signals = signal.SIGKILL, parent: int | None = None) -> None:
    """Have the kernel send this process a signal when the thread that started it ends, however it ends.

    parent: the parent's process id, to notice that it ended before this call; None to skip that.
    Linux only; elsewhere nothing happens, and a left-over Redis is replaced at the next start.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal_number)


def peak_memory() -> int:
    """Return the most bytes of memory that this process has had."""
    # Linux has kilobytes, macOS bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def is_abandoned(process: int, changed: float) -> bool:
    """Tell whether the process that wrote a file is gone.

    process: its number, which may be another process's by now. changed: when the file was last written to, in
    seconds since the epoch.
    """
    try:
        writer = psutil.Process(process)
        return writer.status() == psutil.STATUS_ZOMBIE or writer.create_time() > changed + REUSE_SECONDS
    except psutil.NoSuchProcess:
        return True
