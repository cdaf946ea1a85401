import contextlib
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.guard.admission import LIFE_S, Admissions, NotAdmitted, Scope

KEY = b"a key that a broker shares with us"
AT = 1_800_000_000.0


@pytest.fixture
def admissions() -> Admissions:
    return Admissions(KEY)


def written(**changes: Any) -> str:
    """A token as a broker writes it, with some claims otherwise; None leaves one out."""
    claims = {"aud": "mien", "scope": "speak watch", "sub": "s", "jti": "1", "iat": AT, "exp": AT + 60} | changes
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, KEY, "HS256")


def test_each_scope_lets_in_once(admissions: Admissions) -> None:
    token = admissions.issue([Scope.SPEAK, Scope.WATCH], "s", at=AT)
    admission = admissions.redeem(token, Scope.WATCH, "s", at=AT)
    assert (admission.session, admission.scopes) == ("s", {"speak", "watch"})
    with pytest.raises(NotAdmitted, match="has been used"):
        admissions.redeem(token, Scope.WATCH, "s", at=AT + 1)
    admissions.redeem(token, Scope.SPEAK, "s", at=AT + 1)


def test_who_only_looks_at_it_does_not_spend_it(admissions: Admissions) -> None:
    token = admissions.issue([Scope.WATCH], "s", at=AT)
    for spend in (False, False, True):
        admissions.redeem(token, Scope.WATCH, "s", at=AT, spend=spend)
    with pytest.raises(NotAdmitted):
        admissions.redeem(token, Scope.WATCH, "s", at=AT, spend=False)


@pytest.mark.parametrize(("scope", "session"), [(Scope.CONTROL, "s"), (Scope.WATCH, "other"), (Scope.OPEN, None)])
def test_it_is_for_what_it_says(admissions: Admissions, scope: Scope, session: str | None) -> None:
    with pytest.raises(NotAdmitted):
        admissions.redeem(admissions.issue([Scope.SPEAK, Scope.WATCH], "s", at=AT), scope, session, at=AT)


def test_it_lives_for_two_minutes_at_most(admissions: Admissions) -> None:
    token = admissions.issue([Scope.WATCH], "s", at=AT)
    with pytest.raises(NotAdmitted, match="expired"):
        admissions.redeem(token, Scope.WATCH, "s", at=AT + LIFE_S)
    admissions.redeem(token, Scope.WATCH, "s", at=AT + LIFE_S - 1)
    with pytest.raises(ValueError, match="lives 1 to 120 s"):
        admissions.issue([Scope.WATCH], "s", at=AT, life_s=LIFE_S + 1)
    with pytest.raises(ValueError, match="needs scopes"):
        admissions.issue([Scope.WATCH], None, at=AT)


def test_what_was_spent_is_forgotten_when_it_has_expired(admissions: Admissions) -> None:
    for i in range(100):
        admissions.redeem(admissions.issue([Scope.OPEN], None, at=AT + i), Scope.OPEN, None, at=AT + i)
    admissions.redeem(admissions.issue([Scope.OPEN], None, at=AT + 500), Scope.OPEN, None, at=AT + 500)
    assert len(admissions._spent) == len(admissions._expiry) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": AT + 121}, {"iat": AT - 100}, {"iat": AT + 60, "exp": AT + 120}, {"exp": AT}, {"exp": float("nan")},
        {"iat": float("nan")}, {"exp": True}, {"exp": "tomorrow"}, {"iat": None}, {"jti": None}, {"jti": 7},
        {"scope": None}, {"scope": ["watch"]}, {"scope": ""}, {"scope": "watching"}, {"aud": "another"}, {"aud": None},
        {"sub": 7}, {"sub": None}, {"iat": -(10**400), "exp": -(10**400) + 1},
    ],
)  # fmt: skip
def test_a_broker_who_shares_the_key_must_write_it_so(admissions: Admissions, changes: dict[str, Any]) -> None:
    admissions.redeem(written(), Scope.WATCH, "s", at=AT)
    with pytest.raises(NotAdmitted):
        admissions.redeem(written(jti=changes.pop("jti", "2"), **changes), Scope.WATCH, "s", at=AT)


def test_neither_another_key_nor_none_signs() -> None:
    forged = jwt.encode({"aud": "mien", "scope": "watch", "sub": "s", "jti": "1", "iat": AT, "exp": AT + 60}, "k" * 32, "HS256")
    unsigned = jwt.encode({"aud": "mien", "scope": "watch", "sub": "s", "jti": "1", "iat": AT, "exp": AT + 60}, "", "none")
    for token in (forged, unsigned, written()[:-2], written() + "x", "x" * 5000, ""):
        with pytest.raises(NotAdmitted):
            Admissions(KEY).redeem(token, Scope.WATCH, "s", at=AT)


_MANGLED = st.builds(
    lambda at, text: written()[:at] + text + written()[at + len(text) :], st.integers(0, 200), st.text(max_size=9)
)
_WORDS = st.lists(st.text(st.characters(codec="latin-1"), max_size=40), max_size=5).map(".".join)


@given(st.one_of(_MANGLED, _WORDS, st.text(max_size=200)))
def test_any_text_is_an_admission_or_not(token: str) -> None:
    with contextlib.suppress(NotAdmitted):
        Admissions(KEY).redeem(token, Scope.WATCH, "s", at=AT)
        assert token == written()


_CLAIMS = st.dictionaries(
    st.sampled_from(["aud", "scope", "sub", "jti", "iat", "exp", "nbf", "iss"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9), lambda s: st.lists(s, max_size=3)
    ),
)


@given(_CLAIMS)
def test_any_claims_that_are_signed_are_an_admission_or_not(claims: dict[str, Any]) -> None:
    with contextlib.suppress(NotAdmitted):
        Admissions(KEY).redeem(jwt.api_jws.encode(_json(claims), KEY, "HS256"), Scope.WATCH, "s", at=AT)


def _json(claims: dict[str, Any]) -> bytes:
    return json.dumps({"aud": "mien", "scope": "watch", "sub": "s", "jti": "1", "iat": AT, "exp": AT + 60} | claims).encode()
