"""Many equal pieces of work on the CPU's cores, each piece on one thread.

This is faster than letting each operation spread over all cores, and it makes the bits of a result
independent of the number of cores: torch splits and rounds differently for different numbers of threads.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_pieces(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    device: torch.device,
    on_piece: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Apply a function to each item without gradients; the results come in the order of the items.

    On the CPU the items are shared out over `torch.get_num_threads()` threads; on another device they run one
    after the other.

    on_piece: called in the caller's thread with (pieces done, pieces in all), in order. An exception, there
        or in a piece, ends the pieces that have not begun.
    """

    def piece(item: Item) -> Result:
        with torch.inference_mode():  # which is a property of the thread
            return function(item)

    def collected(results: Iterable[Result]) -> list[Result]:
        done = []
        for result in results:
            done.append(result)
            if on_piece is not None:
                on_piece(len(done), len(items))
        return done

    if device.type != "cpu":
        return collected(map(piece, items))
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        return collected(pool.map(piece, items))
    finally:
        pool.shutdown(cancel_futures=True)
        # A thread's setting also becomes the default of threads that start later: put it back.
        torch.set_num_threads(threads)
