"""Text of files whose encoding was mistaken for Latin-1."""

_UNDEFINED = b"\x81\x8d\x8f\x90\x9d"  # in Windows-1252
_WINDOWS = {c: bytes([c]).decode("cp1252") for c in range(0x80, 0xA0) if c not in _UNDEFINED}


def repaired(text: str) -> str:
    """`text` as it was meant where it is UTF-8, or Windows-1252, read as Latin-1.

    The latter leaves control characters, U+0080 to U+009F, where apostrophes and dashes belong. Five of them, which
    Windows-1252 does not know, stay. Text that is right stays as it is.
    """
    if text.isascii():
        return text
    try:
        return text.encode("latin1").decode()
    except UnicodeError:
        return text.translate(_WINDOWS)
