"""Markup to text: HTML pages and Markdown files."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from pipeline.schema import InputError
from pipeline.text.decoding import LONGEST, open_bytes

_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w-]{2,30})""", re.IGNORECASE)
_FRONT_MATTER = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)\n", re.DOTALL)
# What may follow, "[" and "(", ends the search for an end: many of them take no longer than one.
_TARGET = r"\([^()\n]*(?:\([^()\n]*\)[^()\n]*)?\)"
_IMAGE = re.compile(rf"!\[([^\[\]\n]*)\]{_TARGET}")
_LINK = re.compile(rf"\[([^\[\]\n]+)\]{_TARGET}")
_HEADING = re.compile(r"^#{1,6}[ \t]+([^\n]*)$", re.MULTILINE)
_QUOTED = re.compile(r"^>\s?", re.MULTILINE)
_EMPHASIS = re.compile(r"(\*\*|__|(?<!\w)[*_](?=\S))(?P<text>[^*_\n]+)(?<=\S)\1(?!\w)")


def markdown_text(source: str) -> str:
    """Return the text of a Markdown file: front matter, links and emphasis marks go."""
    text = _FRONT_MATTER.sub("", source)
    text = _LINK.sub(r"\1", _IMAGE.sub("", text))
    text = _QUOTED.sub("", _HEADING.sub(lambda match: match[1].rstrip().rstrip("#").rstrip(), text))
    return _EMPHASIS.sub(r"\g<text>", text)


def html_text(path: Path) -> tuple[str, str]:
    """Return the title and the main text of an HTML page, paragraphs on lines of their own.

    Raises
    ------
    InputError
        Where the page is empty, not in the encoding it declares, or without text.
    """
    source = _decoded(path)
    import trafilatura  # slow to import, and only pages need it

    document = trafilatura.bare_extraction(
        source, include_comments=False, include_tables=False, with_metadata=True
    )
    text = (getattr(document, "text", None) or "").strip()
    title = (getattr(document, "title", None) or "").strip()
    if not text:
        text = _all_paragraphs(source)
    if not text:
        raise InputError(f"{path}: no article text found in the page; save the article as .txt")
    return title, text


def _decoded(path: Path) -> str:
    with open_bytes(path) as raw:
        data = raw.read(LONGEST)
    if len(data) == LONGEST:
        raise InputError(f"{path}: longer than {LONGEST:,} bytes; is it a page?")
    if not data.strip():
        raise InputError(f"{path}: is empty")
    declared = _CHARSET.search(data[:4096])
    name = declared[1].decode("ascii") if declared else "utf-8"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = "utf-16"
    elif data.startswith(codecs.BOM_UTF8):
        name = "utf-8-sig"
    try:
        text = data.decode(name)
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} (0x{data[error.start]:02x})"
        raise InputError(f"{path}: not {name} at {byte}; save it as UTF-8") from error
    except LookupError as error:
        raise InputError(f"{path}: declares the unknown encoding {name!r}; save it as UTF-8") from error
    return text.replace("\0", "")


def _all_paragraphs(source: str) -> str:
    """Return the paragraphs of a page too short for the extractor."""
    from lxml import etree, html

    try:
        tree = html.fromstring(source.encode(), parser=html.HTMLParser(encoding="utf-8"))
    except (etree.ParserError, ValueError):
        return ""
    found = (" ".join(node.text_content().split()) for node in tree.iter("p", "h1"))
    return "\n".join(text for text in found if text)
