"""Files where Spark reads and writes: local, HDFS, object storage, all through Hadoop's FileSystem."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.schema import InputError

SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
DONE = "_SUCCESS"


class Storage:
    """One place to read or write, a file or a folder.

    Parameters
    ----------
    session : SparkSession
    path : str
        As Spark takes it: without a scheme it is on the file system that Spark runs on.
    """

    def __init__(self, session: Any, path: str) -> None:
        self.hadoop = session._jvm.org.apache.hadoop.fs
        self.name = path
        given = self.hadoop.Path(path)
        self.system = given.getFileSystem(session._jsc.hadoopConfiguration())
        if self.system.getScheme() == "file" and not given.isUriPathAbsolute():
            given = self.hadoop.Path(str(Path(path).absolute()))  # Java's own folder is where it was started
        self.path = self.system.makeQualified(given)

    def files(self) -> list[tuple[str, PurePosixPath]]:
        """Return the data files, sorted by their path below this one, with that path.

        Hidden ones, whose name or folder starts with "." or "_", are left out.

        Raises
        ------
        InputError
            Where there is nothing to read.
        """
        if not self.system.exists(self.path):
            raise InputError(f"{self.name}: does not exist")
        root = self.path.toString()
        found = []
        listing = self.system.listFiles(self.path, True)
        while listing.hasNext():
            status = listing.next()
            path = status.getPath().toString()
            below = path.removeprefix(root).lstrip("/")
            inner = PurePosixPath(below or status.getPath().getName())
            if suffix(inner) in SUFFIXES and not any(part[0] in "._" for part in inner.parts):
                if not status.getLen():
                    raise InputError(f"{path}: is empty")
                found.append((path, inner))
        if not found:
            known = ", ".join(SUFFIXES)
            raise InputError(f"{self.name}: nothing that engine=spark reads ({known}); use engine=local")
        return sorted(found, key=lambda one: one[1])

    @contextmanager
    def written(self) -> Iterator[str]:
        """Give the path of a folder beside this one, renamed onto it when the block succeeds.

        Part files are named in the block; the mark `_SUCCESS` is set last, so that also where renaming
        is no single act (object storage) a folder with it is whole.

        Raises
        ------
        InputError
            Where a folder that was not written so is in the way.
        """
        if self.system.exists(self.path) and not self._replaceable():
            raise InputError(f"{self.name}: is a folder with other files; choose another output")
        staged = self._beside("tmp")
        try:
            yield staged.toString()
            old = self._beside("old")
            replaced = self.system.exists(self.path) and self._rename(self.path, old)
            try:
                self._rename(staged, self.path)
            except InputError:
                if replaced:
                    self._rename(old, self.path)
                raise
            self.system.create(self.hadoop.Path(self.path, DONE)).close()
            self.system.delete(old, True)
        finally:
            self.system.delete(staged, True)

    def rename_parts(self, folder: str, old: str, new: str) -> None:
        """Give the files of a folder another extension."""
        listing = self.system.listFiles(self.hadoop.Path(folder), True)
        while listing.hasNext():
            path = listing.next().getPath()
            if path.getName().endswith(old):
                name = path.getName().removesuffix(old) + new
                self._rename(path, self.hadoop.Path(path.getParent(), name))

    def inside(self, other: Storage) -> bool:
        """Tell whether this is the other or lies in it."""
        mine, its = self.path.toString(), other.path.toString().rstrip("/")
        return mine == its or mine.startswith(f"{its}/")

    def _replaceable(self) -> bool:
        if self.system.getFileStatus(self.path).isFile():
            return True
        entries = self.system.listStatus(self.path)
        return len(entries) == 0 or self.system.exists(self.hadoop.Path(self.path, DONE))

    def _beside(self, ending: str) -> Any:
        return self.hadoop.Path(self.path.getParent(), f".{self.path.getName()}.{os.getpid()}.{ending}")

    def _rename(self, old: Any, new: Any) -> bool:
        if not self.system.rename(old, new):
            raise InputError(f"{self.name}: cannot be written; choose another output")
        return True


def suffix(path: PurePosixPath) -> str:
    """Return the extension that tells the format, in lower case."""
    return PurePosixPath(path.name.lower().removesuffix(".gz")).suffix


def literal(path: str) -> str:
    """Return a path in which Spark sees no pattern."""
    return "".join(f"\\{character}" if character in "{}[]*?\\" else character for character in path)
