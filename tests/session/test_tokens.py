from bimip.session.close import Close
from bimip.session.tokens import TokenError


def test_a_refused_token_says_why_and_what_closes_the_connection() -> None:
    refused = TokenError("The token is for another audience.")

    assert (refused.reason, refused.code) == ("The token is for another audience.", Close.UNAUTHENTICATED)
    assert str(refused) == refused.reason
    assert TokenError("late", Close.TOKEN_EXPIRED).code is Close.TOKEN_EXPIRED
