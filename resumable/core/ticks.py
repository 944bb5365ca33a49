"""When a file can no longer change without its time stamps telling."""

# A file system stamps changes with its own clock, which ticks this often: two changes within one
# tick cannot be told apart. Whole seconds are the stamps of the coarser ones.
_FINE_TICK_NS = 20_000_000
_COARSE_TICK_NS = 2_000_000_000


def until_next_tick(now_ns: int, mtime_ns: int, ctime_ns: int) -> float:
    """Seconds until a change would get other time stamps than the file has."""
    coarse = mtime_ns % 1_000_000_000 == 0
    stamps = (
        (mtime_ns, _COARSE_TICK_NS if coarse else _FINE_TICK_NS),
        (ctime_ns, _FINE_TICK_NS),
    )
    waits = (tick - (now_ns - stamp) for stamp, tick in stamps if 0 <= now_ns - stamp < tick)
    return max(waits, default=0) / 1e9
