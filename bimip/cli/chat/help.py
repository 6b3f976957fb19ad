"""The page of keys."""

from rich.text import Text

KEYS = (
    (
        "Anywhere",
        (
            ("Tab, Shift-Tab", "from the list to the messages to where you write"),
            ("F1", "this page"),
            ("Ctrl-N", "begin a conversation, or a group"),
            ("Ctrl-F", "search what this device keeps"),
            ("Ctrl-T", "contacts: who asked, who is there"),
            ("Ctrl-O", "your devices, and which are connected"),
            ("Ctrl-S", "settings, status, and this conversation's"),
            ("Ctrl-Q", "leave"),
        ),
    ),
    (
        "Writing",
        (
            ("Enter", "send"),
            ("Ctrl-J", "begin another line"),
            ("Up", "with nothing written: edit your last message"),
            ("Esc", "drop a reply or an edit; else to the messages"),
        ),
    ),
    (
        "A message",
        (
            ("Up, Down", "choose one; the oldest loads what came before"),
            ("r, Enter", "reply"),
            ("e", "edit, if it is yours"),
            ("+", "react, by a short name such as heart"),
            ("d", "delete, for you or for everyone"),
            ("i", "who received and read it"),
            ("v", "the whole of a long one"),
            ("Enter, s, d", "of one that was refused: change it, send it again, drop it"),
        ),
    ),
    (
        "The list",
        (
            ("Enter", "open"),
            ("m", "mute: for an hour, eight, a week, always; or not any more"),
            ("p a u", "pin, archive, mark unread"),
        ),
    ),
    (
        "Signs",
        (
            ("⧖", "waits for a connection: kept on this disk"),
            ("✓  ✓✓", "on the server's disk; received by everybody"),
            ("✓✓ bold", "read by everybody"),
            ("✗", "refused: the reason stands below it"),
        ),
    ),
)


def help_text() -> Text:
    parts: list[tuple[str, str]] = []
    for title, keys in KEYS:
        parts.append((f"{title}\n", "bold"))
        for key, does in keys:
            parts += [(f"  {key:<15}", "cyan"), (f"{does}\n", "")]
    return Text.assemble(*parts)
