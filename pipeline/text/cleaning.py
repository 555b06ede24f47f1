"""The cleaned form of a sentence: the same words, without the damage of the page."""

from __future__ import annotations

import re
import unicodedata
from html import unescape

# Letters of scripts that write with joiners (Arabic to Mongolian), and emoji sequences.
_JOINED = (
    "\u0600-\u08ff\u0900-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc\ufe0f\u2600-\u27bf"
    "\U0001f000-\U0001faff"
)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    f"|(?<![{_JOINED}])[\u200c\u200d]|[\u200c\u200d](?![{_JOINED}])"
)
_ENTITY = re.compile(
    r"&(?:#\d{1,6}|#x[\da-fA-F]{1,5}|amp|quot|apos|lt|gt|nbsp|[lr][sd]quo|[mn]dash|hellip|euro|pound);"
)
_LONGEST_ENTITY = 9
_LAST_ENTITY = re.compile(rf"{_ENTITY.pattern}\Z")
_AFTER_SEMICOLON = re.compile("(?<=;)")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Bytes of UTF-8 read as Windows-1252 or Latin-1 begin with one of these.
_MOJIBAKE_LEAD = re.compile("[ÃÂâÅÄÆÐÑÎÏØÙÚðïãäåæçèé][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|ï¿½|Ã\\s")

_SPACED_MARK = re.compile(
    r""" (?<![.\s])[ ](?=
          ,(?!\d)                          # the bank , which    but: 1 ,5
        | [;:](?=[\s"'”’»]|\Z)             # this ; that         but: :)
        | [!?](?=[\s"'”’»)\]]|\Z)          # really ?            but: !important
        | \.(?=["”’)\]]|\Z|\s(?![.\d]))    # the bank .           but: .5  .com  ...  . . .
        | \)(?![:;]) )
      | (?<=\.)[ ](?=[,)]) """,
    re.VERBOSE,
)
_SPACED_CLOSER = re.compile(r" ([’”])(?=[\s.,;:!?)]|\Z)")
_SPACED_POSSESSIVE = re.compile(r"(?<=\w) ([‘’'])(s)(?=[\s.,;:!?)”]|\Z)")
_SPACED_HYPHEN = re.compile(
    r"(?<=\w) -(?=(?:based|backed|led|owned|born|made|run|style|linked|listed|funded|controlled|friendly|"
    r"focused|driven|era|level|wide|sized|like|trained|speaking|aligned|affiliated|sponsored|held|occupied|"
    r"related|operated|registered|brokered|mediated|imposed|installed|developed|produced)\b)"
)
# Every repair needs a space before one of these; few texts have any.
_STRAY_SPACE = re.compile(r" [,.;:!?)’‘'”-]")
_DOUBLED_STOP = re.compile(r"""(?<=[^\s.])( ?[.!?]['"”’)]?) \.\Z""")


def clean(text: str) -> str:
    """Return the cleaned form of one sentence.

    Unicode is composed (NFC), mojibake and HTML entities are repaired, invisible characters
    dropped, whitespace made single spaces, and spaces that were left before punctuation removed.
    Quotes, dashes and ellipses stay as they are; ``clean(clean(x)) == clean(x)``.
    """
    for _ in range(8):  # one repair can uncover another: settle, so that cleaning is idempotent
        if "&" in text and _ENTITY.search(text):
            text = _unescaped(text)
        plain = text.isascii() and text.isprintable()
        cleaned = _respaced(text if plain else _visible(text))
        if cleaned == text:
            break
        text = cleaned
    return text


def _unescaped(text: str) -> str:
    """Return text without entities, those that others are part of included, in one pass: `&amp;amp;…`."""
    done: list[str] = []
    for piece in _AFTER_SEMICOLON.split(text):
        done += piece
        while done[-1:] == [";"] and (last := _LAST_ENTITY.search("".join(done[-_LONGEST_ENTITY:]))):
            del done[-len(last[0]) :]
            done += unescape(last[0])
    return "".join(done)


def _visible(text: str) -> str:
    if not text.isascii():
        if _SURROGATE.search(text):
            text = _SURROGATE.sub("\ufffd", text)
        if _MOJIBAKE_LEAD.search(text):
            import ftfy  # only damaged text pays for the import

            text = ftfy.fix_encoding(text)
        text = unicodedata.normalize("NFC", text)
    return _INVISIBLE.sub("", text)


def _respaced(text: str) -> str:
    if "  " in text or not text.isprintable() or text[:1] == " " or text[-1:] == " ":
        text = " ".join(text.split())
    if not _STRAY_SPACE.search(text):
        return text
    if " ." in text and (doubled := _DOUBLED_STOP.search(text)):
        text = text[: doubled.end(1)]
    text = _SPACED_MARK.sub("", text)
    text = _SPACED_POSSESSIVE.sub(lambda match: ("’" if match[1] == "‘" else match[1]) + match[2], text)
    text = _SPACED_CLOSER.sub(r"\1", text)
    return _SPACED_HYPHEN.sub("-", text)
