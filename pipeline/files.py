"""Writing whole files or folders, or none."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.schema import InputError

# What a user mends by choosing another output; any other failure is none of the output's.
_UNWRITABLE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
}
_ABANDONED = 86400  # seconds since a temporary file was last written to


@contextmanager
def atomic(path: str | Path, *kinds: Sequence[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed onto it when the block succeeds.

    Works for a file or a directory, whichever the block creates; on any exception nothing is left.

    Parameters
    ----------
    path : path
    *kinds : sequence of str
        See `replaceable`.

    Raises
    ------
    InputError
        Where the folder cannot be made or written to, or has in it what was not written here.
    """
    path = Path(path)
    replaceable(path, *kinds)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with unwritable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _clear(path)
            yield temporary
            _replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """Turn what the operating system says of an output that cannot be written into an InputError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise InputError(
            f"{path}: cannot be written ({os.strerror(error.errno)}); choose another output"
        ) from error


def replaceable(path: str | Path, *kinds: Sequence[str]) -> None:
    """Raise InputError for a folder that is neither empty nor one of ours.

    Parameters
    ----------
    path : path
    *kinds : sequence of str
        Names of files that are all in a folder of one kind.
    """
    path = Path(path)
    with unwritable(path):
        ours = any(all((path / name).is_file() for name in kind) for kind in kinds)
        if path.is_dir() and not ours and any(path.iterdir()):
            raise InputError(f"{path}: is a folder with other files; choose another output")


def distinct(source: str | Path, output: str | Path) -> None:
    """Raise InputError where an output is the input itself, by whatever path or link."""
    here, there = (os.path.realpath(path) for path in (source, output))
    if here == there:
        raise InputError(f"output={output}: is the input too; choose another file")


@contextmanager
def locked(path: str | Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file at `path`, which one process at a time can.

    Raises
    ------
    InputError
        With `wait=False`, where another process holds it.
    """
    import fcntl

    with Path(path).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path}: another process is at this; wait for it, or end it") from None
        yield


def _clear(path: Path) -> None:
    """Remove what processes that were killed a day ago have left of an output."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _replace(temporary: Path, path: Path) -> None:
    """Rename; a directory that is in the way changes places, as rename replaces only empty ones."""
    if not (temporary.is_dir() and path.is_dir()):
        temporary.replace(path)
    elif not _exchanged(temporary, path):
        aside = path.with_name(f".{path.name}.{os.getpid()}.old")
        path.rename(aside)
        try:
            temporary.rename(path)
        except OSError:
            aside.rename(path)
            raise
        shutil.rmtree(aside)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two names change places at once, so that a kill finds one or the other; False where it cannot."""
    import ctypes

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):  # no Linux, or an old one
        return False
    here, exchange = -100, 2
    return rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


@contextmanager
def sheltered(path: Path, same: Callable[[Path, Path], bool] | None = None) -> Iterator[Path]:
    """Give a temporary path like `atomic`, for what people fill in: other contents are not replaced.

    Parameters
    ----------
    path : Path
    same : callable, optional
        Tells whether two files have the same contents; default: byte by byte.

    Raises
    ------
    InputError
        Where there is a file with other contents.
    """
    import filecmp

    same = same or (lambda one, other: filecmp.cmp(one, other, shallow=False))
    with atomic(path) as temporary:
        yield temporary
        if path.exists() and not same(temporary, path):
            raise InputError(
                f"{path}: exists with other contents, perhaps filled in; import it and remove it, "
                "or choose another file"
            )


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files in a folder with their names."""
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    found = hashlib.sha256()
    for file in files:
        if "__pycache__" not in file.parts:
            found.update(str(file.relative_to(path)).encode() + b"\0")
            found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()
