"""`weave db`: moving the database to PostgreSQL and back, backups, and the schema."""

import typer

from weave_nn.entrypoints.cli.db import keeping, moving, schema, showing, switching

app = typer.Typer(
    name="db",
    help="Move the database to PostgreSQL and back, live; back it up and restore it; change its schema.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(moving.precheck)
app.command()(moving.migrate)
app.command()(showing.status)
app.command()(moving.verify)
app.command()(switching.cutover)
app.command()(switching.rollback)
app.command()(switching.retire)
app.command()(keeping.backup)
app.command()(keeping.restore)
app.command()(schema.upgrade)
# A relative revision such as -1 is a target, not an option.
app.command(context_settings={"ignore_unknown_options": True})(schema.downgrade)
