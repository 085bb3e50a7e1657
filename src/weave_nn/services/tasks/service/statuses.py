"""Status symbols: what the character between the brackets means, and which one follows it."""

from dataclasses import dataclass
from typing import Final

from weave_nn.services.tasks.contract import StatusType


@dataclass(frozen=True, slots=True)
class Status:
    """One status symbol, its name, the symbol that toggling leads to, and what it means."""

    symbol: str
    name: str
    next_symbol: str
    type: StatusType


DEFAULT_STATUSES: Final = (
    Status(" ", "Todo", "x", StatusType.TODO),
    Status("x", "Done", " ", StatusType.DONE),
    Status("/", "In Progress", "x", StatusType.IN_PROGRESS),
    Status("-", "Cancelled", " ", StatusType.CANCELLED),
    # Markdown itself takes both for done, and Obsidian strikes both through.
    Status("X", "Done", " ", StatusType.DONE),
)


class Statuses:
    """The statuses in use: those of the vault's configuration; the first of each type is the one that is written."""

    def __init__(self, statuses: tuple[Status, ...] = DEFAULT_STATUSES) -> None:
        self._by_symbol = {status.symbol: status for status in reversed(statuses)}
        self._in_order = statuses

    def of(self, symbol: str) -> Status:
        """The status of a symbol; an unknown one is something to do, as in the plugin."""
        return self._by_symbol.get(symbol) or Status(symbol, "Unknown", "x", StatusType.TODO)

    def symbol_for(self, kind: StatusType) -> str:
        """The symbol that is written for a type."""
        default = {StatusType.DONE: "x", StatusType.CANCELLED: "-", StatusType.IN_PROGRESS: "/"}
        return next((status.symbol for status in self._in_order if status.type is kind), default.get(kind, " "))

    def for_next_occurrence(self, completed: str) -> str:
        """The symbol of the next occurrence of a task that now has the symbol `completed`.

        Following the arrows, the first that is to be done, else the first in progress, else a blank.
        """
        status = self.of(self.of(completed).next_symbol)
        following = [status]
        for _ in self._in_order:
            following.append(self.of(following[-1].next_symbol))
        if status.type in {StatusType.TODO, StatusType.IN_PROGRESS}:
            return status.symbol
        for kind in (StatusType.TODO, StatusType.IN_PROGRESS):
            for candidate in following:
                if candidate.type is kind:
                    return candidate.symbol
        return " "
