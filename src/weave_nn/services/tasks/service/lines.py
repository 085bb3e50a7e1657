"""What changes of a task do to its line, as the plugin would do it."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from weave_nn.services.tasks.contract import NewTask, StatusType, TaskChanges
from weave_nn.services.tasks.service.recurrence import Occurrence, Recurrence
from weave_nn.services.tasks.service.rules import TaskRules
from weave_nn.shared.errors import InvalidInput
from weave_nn.vault.task_line import Field, TaskLine

_FIELDS: Final = {
    "priority": Field.PRIORITY,
    "due_date": Field.DUE,
    "scheduled_date": Field.SCHEDULED,
    "start_date": Field.START,
    "created_date": Field.CREATED,
    "done_date": Field.DONE,
    "cancelled_date": Field.CANCELLED,
    "recurrence": Field.RECURRENCE,
    "on_completion": Field.ON_COMPLETION,
    "reference": Field.ID,
    "depends_on": Field.DEPENDS_ON,
}


@dataclass(frozen=True, slots=True)
class Toggled:
    """A line with its new status. It goes from the note when `removed`; `next` is to be put above it."""

    line: TaskLine
    next: TaskLine | None = None
    removed: bool = False


def new_line(new: NewTask, rules: TaskRules, reference: str | None) -> TaskLine:
    """The line of a new task; raises `InvalidInput` for what it cannot hold."""
    title = new.title.strip()
    if not title or len(title.splitlines()) != 1:
        raise InvalidInput("The title of a task is one line that is not empty.", field="title")
    if rules.global_filter and rules.global_filter not in title:
        title = f"{rules.global_filter} {title}"
    line = TaskLine.parse(f"- [ ] {title}")
    if line is None:
        raise InvalidInput(f"The title {new.title!r} makes no task line.", field="title")
    if new.status_symbol != " ":
        line = toggled(line, new.status_symbol, rules).line
    created = new.created_date or (rules.today() if rules.set_created_date else None)
    return _with_fields(
        line,
        rules,
        priority=new.priority,
        due_date=new.due_date,
        scheduled_date=new.scheduled_date,
        start_date=new.start_date,
        created_date=created,
        recurrence=new.recurrence,
        on_completion=new.on_completion,
        reference=new.reference or (None if line.value(Field.ID) else reference),
        depends_on=new.depends_on or None,
    )


def changed_line(line: TaskLine, changes: TaskChanges, rules: TaskRules) -> Toggled:
    """The line with the changes made; raises `InvalidInput` for what it cannot hold."""
    unknown = set(changes.clear) - _FIELDS.keys()
    if unknown:
        raise InvalidInput(
            f"{', '.join(sorted(unknown))} cannot be cleared.", hint=f"There are {', '.join(_FIELDS)}.", field="clear"
        )
    for name in changes.clear:
        line = line.with_field(_FIELDS[name], None)
    if changes.title is not None:
        if len(changes.title.splitlines()) != 1:
            raise InvalidInput("The title of a task is one line that is not empty.", field="title")
        line = line.with_description(changes.title)
    # A status brings dates with it, and dates that are given come first.
    before = rules.statuses.of(line.symbol)
    line = _with_fields(
        line,
        rules,
        priority=changes.priority,
        due_date=changes.due_date,
        scheduled_date=changes.scheduled_date,
        start_date=changes.start_date,
        created_date=changes.created_date,
        recurrence=changes.recurrence,
        on_completion=changes.on_completion,
        reference=changes.reference,
        depends_on=changes.depends_on,
    )
    found = Toggled(line)
    if changes.status_symbol is not None and changes.status_symbol != before.symbol:
        found = toggled(line, changes.status_symbol, rules)
    dated = _with_fields(found.line, rules, done_date=changes.done_date, cancelled_date=changes.cancelled_date)
    return Toggled(dated, found.next, found.removed)


def toggled(line: TaskLine, symbol: str, rules: TaskRules, *, day: date | None = None) -> Toggled:
    """The line with another status, as of `day` (today): its dates, its next occurrence, and whether it goes."""
    today = day or rules.today()
    before, after = rules.statuses.of(line.symbol).type, rules.statuses.of(symbol).type
    changed = line.with_symbol(symbol)
    for kind, field, is_set in (
        (StatusType.DONE, Field.DONE, rules.set_done_date),
        (StatusType.CANCELLED, Field.CANCELLED, rules.set_cancelled_date),
    ):
        if after is not kind:
            changed = changed.with_field(field, None)
        elif before is not kind:
            changed = changed.with_field(field, str(today) if is_set else None, form=rules.form)
    if after is not StatusType.DONE or before is StatusType.DONE:
        return Toggled(changed)
    following = _next_occurrence(line, symbol, rules, today)
    removed = (line.value(Field.ON_COMPLETION) or "").lower() == "delete"
    return Toggled(changed, following, removed)


def _next_occurrence(line: TaskLine, symbol: str, rules: TaskRules, today: date) -> TaskLine | None:
    rule = Recurrence.parse(line.value(Field.RECURRENCE) or "")
    if rule is None:
        return None
    before = Occurrence(line.date(Field.START), line.date(Field.SCHEDULED), line.date(Field.DUE))
    if rules.remove_scheduled_date_on_recurrence and (before.start or before.due):
        line = line.with_field(Field.SCHEDULED, None)
        # The reference must be a date that the next task will have.
        before = Occurrence(start=before.start, due=before.due)
    if any(line.is_invalid(field) for field in (Field.DUE, Field.SCHEDULED, Field.START)):
        return None
    after = rule.next(before, today=today)
    if after is None:
        return None
    for field, day in ((Field.START, after.start), (Field.SCHEDULED, after.scheduled), (Field.DUE, after.due)):
        line = line.with_field(field, None if day is None else str(day), form=rules.form)
    for field in (Field.ID, Field.DEPENDS_ON, Field.DONE, Field.CANCELLED, Field.CREATED):
        line = line.with_field(field, None)
    if rules.set_created_date:
        line = line.with_field(Field.CREATED, str(rules.today()), form=rules.form)
    return line.without_block_link().with_symbol(rules.statuses.for_next_occurrence(symbol))


def _with_fields(line: TaskLine, rules: TaskRules, **values: object) -> TaskLine:
    for name, value in values.items():
        match value:
            case None:
                continue
            case date():
                text = value.isoformat()
            case tuple():
                text = ",".join(map(str, value))
            case _:
                text = str(value)
        if name == "recurrence" and Recurrence.parse(text) is None:
            raise InvalidInput(
                f"{text!r} is no recurrence rule.",
                hint="Write it as in 'every 2 weeks on Monday' or 'every month on the last when done'.",
                field="recurrence",
            )
        line = line.with_field(_FIELDS[name], None if text in {"", "none"} else text, form=rules.form)
    return line
