from bimip.cli.chat.emoji import SHORT_NAMES, emoji_of, matching


def test_a_short_name_is_enough_of_it() -> None:
    assert emoji_of("heart") == emoji_of(":heart:") == emoji_of("hea") == "❤"
    assert matching("ar") == [("heart", "❤"), ("party", "🎉"), ("star", "⭐")]
    assert matching("st")[0] == ("star", "⭐")


def test_an_emoji_that_has_no_name_here_is_itself() -> None:
    assert emoji_of(" 🦆 ") == "🦆"


def test_no_emoji_has_two_names() -> None:
    assert len(set(SHORT_NAMES.values())) == len(SHORT_NAMES)
