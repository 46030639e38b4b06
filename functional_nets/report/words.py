"""Numbers in sentences."""


def counted(number: int, plural: str) -> str:
    """Returns how many there are of something, such as `"1,200 steps"` or `"1 step"`."""
    return f"{number:,} {plural[:-1] if number == 1 else plural}"
