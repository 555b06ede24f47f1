"""How a convolution's filters, and the places in their windows, are laid out in a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Layout:
    """Which columns of a table say what a piece adds to which filter.

    First those of all filters for the first place in their windows, then those of the filters with a second
    place for that, and so on.

    Parameters
    ----------
    widths : sequence of int
        Ascending.
    filters : int
        Of each width.

    Attributes
    ----------
    answers : int
        Number of filters.
    places : list of (int, int)
        Of each place in a window, the first column, and the first filter that has the place.
    owner : ndarray of shape (n_columns,)
        The filter of each column.
    """

    def __init__(self, widths: Sequence[int], filters: int) -> None:
        self.answers = len(widths) * filters
        firsts = [filters * sum(width <= place for width in widths) for place in range(max(widths))]
        parts = [np.arange(first, self.answers) for first in firsts]
        self.places = list(zip(np.cumsum([0, *map(len, parts[:-1])]).tolist(), firsts, strict=True))
        self.owner = np.concatenate(parts)

    def columns(self, place: int) -> tuple[slice, slice]:
        """Return the columns of a place, and the filters that they belong to."""
        column, first = self.places[place]
        return slice(column, column + self.answers - first), slice(first, self.answers)
