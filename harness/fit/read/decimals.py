"""Which sign stands before decimals in each column of a table."""

from collections.abc import Callable, Iterable

from harness.errors import UserError
from harness.fit.read.cells import Cells
from harness.fit.read.notation import COMMA, POINT, Evidence, decimal_sign, evidence
from harness.text import visible


class Decimals:
    """The decimal signs of a table's columns.

    Args:
        cells: the table.
        said: ``point`` or ``comma`` where the user says so, else ``auto``.
        others: the columns that speak for one that leaves it open.
    """

    def __init__(self, cells: Cells, said: str, others: Callable[[], Iterable[int]]) -> None:
        self.cells, self.said, self.others = cells, said, others
        self._seen: dict[int, Evidence] = {}

    def evidence(self, i: int) -> Evidence:
        """What column ``i`` shows by itself."""
        if i not in self._seen:
            column = self.cells.columns[i]
            self._seen[i] = Evidence() if column.is_numeric else evidence(column.words)
        return self._seen[i]

    def sign(self, i: int, is_loss: bool = False) -> str | None:
        """The sign in column ``i``; None where that is not known.

        Args:
            is_loss: no loss is a thousand nats: where its 1,234 would be that, something is wrong.
        """
        if self.said != "auto":
            return self.said
        own = self.evidence(i)
        found = decimal_sign(own, [self.evidence(other) for other in set(self.others()) - {i}])
        if is_loss and own.doubtful_point and not own.comma and not own.doubtful_comma:
            return POINT
        doubtful = bool(own.doubtful_comma) and not own.point
        return None if is_loss and doubtful and found == POINT else found

    def of_the_rest(self, columns: Iterable[int]) -> str:
        """The sign for columns that leave it open, where the fit's are ``columns``."""
        if self.said != "auto":
            return self.said
        found = [self.evidence(i) for i in columns]
        return COMMA if any(one.comma for one in found) and not any(one.point for one in found) else POINT

    def writes_commas(self, i: int) -> bool:
        """Whether column ``i`` has commas before decimals."""
        own = self.evidence(i)
        return bool(own.comma or own.doubtful_comma) and self.sign(i) == COMMA

    def unknown(self, i: int) -> UserError:
        """What to raise for a column of which :meth:`sign` is None."""
        own, name = self.evidence(i), visible(self.cells.header[i].strip())
        comma, point = own.comma or own.doubtful_comma, own.point or own.doubtful_point
        if comma and point:
            return UserError(
                f"{self.cells.name}: column {name!r} has commas and points before decimals ({comma!r} and {point!r}), "
                "or between thousands; write one way, or say it with columns.decimal=point or columns.decimal=comma"
            )
        return UserError(
            f"{self.cells.name}: column {name!r} has numbers such as {comma!r}, which can be {comma.replace(',', '')} "
            f"or {comma.replace(',', '.')}; say what stands before decimals: columns.decimal=point or "
            "columns.decimal=comma"
        )
