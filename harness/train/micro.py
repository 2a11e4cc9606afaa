"""How a process's part of a batch is cut into micro-batches."""

from math import ceil

from harness.train.config import TrainConfig

# Enough to fill a large GPU from about five million parameters up; twice as many would be no faster, only larger.
TOKENS_ON_CUDA = 32_768


def windows_at_once(config: TrainConfig, batch_windows: int, seq_len: int, cuda: bool) -> int:
    """Windows that a device takes at once, at most: what ``config`` says, else the whole batch or what fills a GPU."""
    if config.micro_batch or not cuda:
        return config.micro_batch or batch_windows
    return max(1, min(batch_windows, TOKENS_ON_CUDA // seq_len))


def pieces(rows: range, at_once: int) -> list[range]:
    """``rows`` in as few pieces of at most ``at_once`` as can be, all of one length but the last, which may be shorter.

    Of nearly one length rather than full ones and a rest: what the last lacks is filled up, and costs.
    """
    length = ceil(len(rows) / ceil(len(rows) / at_once))
    return [rows[start : start + length] for start in range(0, len(rows), length)]
