"""Numbers and times as people read them in a terminal."""


def count(value: float) -> str:
    """``1234567`` → ``1.23M``: three digits and a unit; beyond 9999T ``1.23e+18``."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if size * 0.9995 <= abs(value) < 9999.5e12:
            scaled = value / size
            return f"{scaled:.{0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2}f}{unit}"
    return f"{value:.3g}"


def data_size(number: float) -> str:
    """``4100000`` bytes → ``4.1 MB``: up to three digits and a decimal unit."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size * 0.9995:
            return f"{float(f'{number / size:.3g}'):g} {unit}"
    return f"{number:.0f} bytes"


def visible(text: str) -> str:
    """``text`` as one line: what a terminal would not show, or would obey, as Python writes it."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def counted(number: int, one: str, several: str = "") -> str:
    """``1 worker``, ``2 workers``; ``several`` where an "s" does not make the counted."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def duration(seconds: float) -> str:
    """``3725`` → ``1 h 02 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours / 24:.1f} days"
