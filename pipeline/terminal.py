"""What is said to the person at the terminal: a line each, whatever is in the data."""

from __future__ import annotations

import re
import sys

# Control characters, which move the cursor or hide text, and marks that turn the direction of what follows.
_UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_CREDENTIALS = re.compile(r"(?<=://)[^\s/?#'\"]*(?=@)")
_TOKEN = re.compile(
    r"(?i)([?&;](?:access_?key|api_?key|auth|key|pass(?:word|wd)?|pwd|secret|sig(?:nature)?|token)=)[^\s&;'\"]+"
)


def printable(text: str) -> str:
    r"""Return text whose control characters are spelt out, such as `\x1b`; line breaks stay."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def one_line(text: object) -> str:
    """Return what is safe to print as a single line: no control characters, no credentials."""
    return printable(" ".join(without_secrets(str(text)).split()))


def without_secrets(text: str) -> str:
    """Return text with user, password and tokens in addresses replaced by `***`.

    Notes
    -----
    Addresses are `scheme://user:password@host` and `...?token=...`; nothing else is looked for.
    """
    return _TOKEN.sub(r"\1***", _CREDENTIALS.sub("***", text)) if "://" in text else text


def say(text: str) -> None:
    """Print for the person who waits."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def warn(text: object) -> None:
    """Print a warning on stderr, as one line."""
    sys.stderr.write(f"warning: {one_line(text)}\n")
