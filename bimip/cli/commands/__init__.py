"""The words of the command line, each noun's in a file of its own; here they are put together. Exit codes are in
`failures.py`, and in the README.

Each command loads what it needs and nothing else: a client has no use for the server, and `--help` for neither.
"""

import sys
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from bimip import __version__
from bimip.cli.commands import (
    clock,
    config,
    contacts,
    conversations,
    devices,
    groups,
    location,
    messages,
    messaging,
    privacy,
    push,
    server,
    status,
    store,
    users,
)
from bimip.cli.failures import Exit, leave
from bimip.cli.output import lossy_output

app = typer.Typer(
    help="BIMIP: instant messaging for people with several devices.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # they print local variables, which hold tokens
)


def main() -> None:
    """Runs one command in a process: wrong words are one sentence and code 2, and what cannot be printed is lost."""
    with lossy_output():
        try:
            code = app(standalone_mode=False)
        except TyperException as error:
            _tell_wrong_words(error)
        except Abort:
            code = Exit.INTERRUPTED
        sys.exit(code if isinstance(code, int) else Exit.OK)


def _tell_wrong_words(error: TyperException) -> None:
    message = error.format_message().strip()
    context = getattr(error, "ctx", None)
    if "\n" in message:  # nothing was asked for, and this is the help
        print(message, file=sys.stderr)
        sys.exit(Exit.USAGE)
    leave(Exit.USAGE, f"{message.rstrip('.')} (`{context.command_path if context else 'bimip'} --help` tells more)")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"bimip {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", help="Show which version this is.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


for _word, _command in (
    ("serve", server.serve_server),
    ("token", server.token),
    ("send", messaging.send),
    ("listen", messaging.listen),
    ("chat", messaging.chat),
    ("inbox", messaging.inbox),
    ("history", messaging.history),
    ("feed", messaging.feed),
    ("heads", messaging.newest_of_each),
    ("settings", privacy.privacy_settings),
    ("conversation", conversations.keep_conversation),
    ("state", messaging.show_state),
    ("tree", server.tree),
    ("kill", server.kill),
    ("kick", server.kick),
    ("top", server.top),
    ("drain", server.drain),
    ("doctor", server.doctor),
    ("metrics", server.metrics),
    ("conflicts", server.conflicts),
    ("bench", server.bench),
):
    app.command(_word)(_command)

app.add_typer(store.app, name="store")
app.add_typer(devices.app, name="devices")
app.add_typer(push.app, name="push")
app.add_typer(groups.app, name="group")
app.add_typer(contacts.app, name="contacts")
app.add_typer(location.app, name="location")
app.add_typer(status.app, name="status")
app.add_typer(messages.app, name="message")
app.add_typer(users.app, name="user")
app.add_typer(clock.app, name="clock")
app.add_typer(config.app, name="config")
