"""What a library says is wrong, for a message of ours."""


def reason(error: object, length: int = 200) -> str:
    """The text of `error` in one line of at most `length` characters, whatever a foreign file brought into it."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= length else f"{text[: length - 3]}..."
