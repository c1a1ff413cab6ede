"""Keeps the memory of one inference for the next one."""

import ctypes

# Of glibc's <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 << 20  # the most that glibc takes
MOST_KEPT = 64 << 20


def keep_freed_memory() -> bool:
    """Tells the allocator to use freed blocks of some megabytes again, instead of giving them back to the system.

    By default each array of an image is a separate mapping, and the system clears its pages again: for the five
    megabytes of 640 x 640 floats that takes milliseconds. False where the C library is not glibc, which alone can be
    told.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
    )
