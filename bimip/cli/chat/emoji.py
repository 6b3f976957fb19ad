"""Reactions by their short names, as people know them from other messengers."""

SHORT_NAMES = {
    "+1": "👍",
    "-1": "👎",
    "heart": "❤",
    "joy": "😂",
    "smile": "😄",
    "wow": "😮",
    "sad": "😢",
    "angry": "😠",
    "pray": "🙏",
    "clap": "👏",
    "fire": "🔥",
    "party": "🎉",
    "eyes": "👀",
    "ok": "👌",
    "check": "✅",
    "no": "❌",
    "question": "❓",
    "rocket": "🚀",
    "wave": "👋",
    "think": "🤔",
    "coffee": "☕",
    "beer": "🍺",
    "hundred": "💯",
    "star": "⭐",
    "bulb": "💡",
    "bug": "🐛",
    "cry": "😭",
    "kiss": "😘",
    "cool": "😎",
    "sleep": "😴",
}


def matching(typed: str) -> list[tuple[str, str]]:
    """Returns names and emoji for what was typed: those that begin with it, then those in which it stands."""
    wanted = typed.strip().strip(":").casefold()
    begins = [(name, emoji) for name, emoji in SHORT_NAMES.items() if name.startswith(wanted)]
    within = [(name, emoji) for name, emoji in SHORT_NAMES.items() if wanted in name and not name.startswith(wanted)]
    return begins + within


def emoji_of(typed: str) -> str:
    """Returns the emoji that was meant: the first one with such a name, or what was typed, where it is none."""
    found = matching(typed)
    return found[0][1] if found else typed.strip()
