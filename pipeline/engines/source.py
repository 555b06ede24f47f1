"""The rows of files that Spark reads, each with the file and line it has there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from pipeline.engines.partition import LINE, PLACE, Kind, Places, carried, parsed, unfit
from pipeline.engines.storage import SUFFIXES, Storage, literal, suffix
from pipeline.rows import encodable
from pipeline.schema import InputError, nearest
from pipeline.text.readers import file_names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_FILE, _START = "__file__", "__start__"


@dataclass
class Source:
    """Rows in files that Spark reads, in the order in which one process would read them."""

    session: SparkSession
    path: str
    text: str = "text"

    def __post_init__(self) -> None:
        self.storage = Storage(self.session, self.path)
        self.files = self.storage.files()
        kinds = {SUFFIXES[suffix(inner)] for _, inner in self.files}
        if len(kinds) > 1:
            raise InputError(f"{self.path}: holds both .jsonl and .parquet; choose one of them")
        self.kind: Kind = kinds.pop()  # type: ignore[assignment]

    @cached_property
    def pieces(self) -> DataFrame:
        """The rows as Spark reads them, numbered, with the pieces of files they are in."""
        from pyspark.sql import functions as F  # noqa: N812 - PySpark's own custom

        reader = self.session.read.option("basePath", literal(self._base()))
        paths = [literal(path) for path, _ in self.files]
        frame = (
            reader.parquet(*paths) if self.kind == "parquet" else reader.option("lineSep", "\n").text(paths)
        )
        columns = [F.col(f"`{name}`") for name in frame.columns]
        if self.kind == "jsonl":
            columns[0] = columns[0].cast("binary").alias(LINE)  # may be no UTF-8
        numbered = F.monotonically_increasing_id().alias(PLACE)
        file, start = F.col("_metadata.file_path"), F.col("_metadata.file_block_start")
        return frame.select(*columns, numbered, file.alias(_FILE), start.alias(_START))

    @cached_property
    def rows(self) -> DataFrame:
        """The rows in order: of several files, Spark reads the largest pieces first."""
        from pyspark.sql import functions as F  # noqa: N812

        frame = self.pieces
        if len(self.files) > 1:  # by folder and name, as pathlib sorts
            frame = frame.orderBy(F.split(_FILE, "/"), _START, PLACE)
        return frame.drop(_FILE, _START)

    def places(self, names: Sequence[str]) -> Places:
        """Count the rows of each piece of each file; `names` are those to give to the files."""
        from pyspark.sql import functions as F  # noqa: N812

        grouped = self.pieces.groupBy(_FILE, _START).agg(F.min(PLACE).alias("first"), F.count("*").alias("n"))
        name = dict(zip([path for path, _ in self.files], names, strict=True))
        found: list[tuple[int, str, int]] = []
        following: dict[str, int] = {}
        for file, _, first, n in sorted(tuple(row) for row in grouped.collect()):
            number = following.get(file, 1)
            found.append((first, name[unquote(file)], number))
            following[file] = number + n
        return Places(*zip(*sorted(found), strict=True))

    def names(self) -> Places:
        """Return what the ids of articles that have none start from."""
        single = len(self.files) == 1
        return self.places(file_names([PurePosixPath(i.name) if single else i for _, i in self.files]))

    def check_ids(self) -> None:
        """Raise InputError where two articles have one id."""
        from pyspark.sql import functions as F  # noqa: N812

        if self.kind == "jsonl":
            given = F.get_json_object(F.col(LINE).cast("string"), "$.id")
        elif "id" in self.pieces.columns:
            given = F.col("id").cast("string")
        else:
            return
        ids = self.pieces.select(F.trim(given).alias("id")).where("id != ''").groupBy("id").count()
        if twice := ids.where("count > 1").orderBy("id").head():
            raise InputError(f"{self.path}: duplicate id {twice['id']!r}; make ids unique")

    def fields(self, n: int, added: Sequence[str], *, typed: bool) -> list[pa.Field]:
        """Return the columns that the first `n` rows of JSON have beside those `added`.

        With `typed`, of the types that Parquet gives them.

        Raises
        ------
        InputError
            Where there is no row or no text, or the values of a column are of several types.
        """
        rows = [encodable(row) for _, row in parsed(self.rows.limit(n).toArrow().to_batches(), self.kind)]
        if not rows:
            raise InputError(f"{self.path}: has no rows")
        if self.text not in rows[0]:
            raise InputError(f"{self.path}: no column {self.text!r}{nearest(self.text, list(rows[0]))}")
        names = dict.fromkeys(key for row in rows for key in row)
        try:
            kinds = [pa.array([row.get(name) for row in rows]).type if typed else pa.null() for name in names]
        except pa.ArrowException as error:
            raise InputError(unfit(error)) from None
        return [
            pa.field(carried(name, added), pa.string() if pa.types.is_null(kind) else kind)
            for name, kind in zip(names, kinds, strict=True)
        ]

    def check(self) -> None:
        """Raise InputError where a table has no column of text."""
        from pyspark.sql.types import StringType

        if self.kind == "parquet":
            columns = [name for name in self.rows.columns if name != PLACE]
            if self.text not in columns:
                raise InputError(f"{self.path}: no column {self.text!r}{nearest(self.text, columns)}")
            if not isinstance(kind := self.rows.schema[self.text].dataType, StringType):
                raise InputError(f"{self.path}: {self.text!r} must be a string, got {kind.simpleString()}")

    def _base(self) -> str:
        path, inner = self.files[0]
        return (
            path.removesuffix(str(inner)) if path != self.storage.path.toString() else path.rpartition("/")[0]
        )
