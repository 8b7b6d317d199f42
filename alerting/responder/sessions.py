"""Who may ask: bearer tokens of machines, and signed sessions of people with a CSRF token for their forms.

A session is an instant of expiry and a nonce under a signature by the page's token, so it needs no memory, outlives a
restart, and ends for everybody when the token is renewed. All comparisons take constant time.
"""

import hashlib
import hmac
import secrets

COOKIE = "responder_session"
LIFE = 12 * 3_600  # seconds: a shift


def same(given: str, expected: str) -> bool:
    """Whether two secrets are the same."""
    return hmac.compare_digest(given.encode(), expected.encode())


def bears(authorization: str, token: str) -> bool:
    """Whether an Authorization header bears the token."""
    scheme, _, given = authorization.partition(" ")
    return scheme.lower() == "bearer" and same(given.strip(), token)


def new_session(token: str, now: float) -> str:
    """A session for someone who has shown the token."""
    claim = f"{int(now) + LIFE}.{secrets.token_urlsafe(16)}"
    return f"{claim}.{_signature(token, 'session', claim)}"


def is_session(session: str, token: str, now: float) -> bool:
    """Whether the session was given by us and has not expired."""
    claim, _, signature = session.rpartition(".")
    expires = claim.partition(".")[0]
    return same(signature, _signature(token, "session", claim)) and expires.isdecimal() and now < int(expires)


def csrf_token(session: str, token: str) -> str:
    """What the forms of this session carry, and no other site knows."""
    return _signature(token, "csrf", session)


def _signature(token: str, purpose: str, text: str) -> str:
    return hmac.digest(token.encode(), f"{purpose}:{text}".encode(), hashlib.sha256).hex()
