"""Login: name and password, then the code of the second factor, with growing delays after wrong guesses."""

from __future__ import annotations

import msgspec

from shoal.auth.device_marks import DeviceMarks
from shoal.auth.login_throttle import Guess, Known, LoginThrottle
from shoal.auth.sessions import Sessions
from shoal.auth.totp import Factor, Totp
from shoal.auth.users import Proof, User, Users
from shoal.errors import Forbidden, Unauthenticated


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was just opened. ``factor``: the kind of code that was used, if one was needed.

    ``marks``: the device cookie that the browser gets for the next sign-in.
    """

    user: User
    token: str
    factor: Factor | None
    marks: str


class Login:
    """Signs users in, and asks signed-in users for their password again."""

    def __init__(
        self,
        users: Users,
        sessions: Sessions,
        totp: Totp,
        delays: LoginThrottle,
        marks: DeviceMarks,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._second_factor = totp
        self.delays = delays
        self._marks = marks

    async def sign_in(
        self, name: str, password: str, code: str = "", *, kind: str, user_agent: str, address: str, marks: str = ""
    ) -> SignedIn:
        """Open a session with a new token. ``marks``: the device cookie of earlier sign-ins.

        Raises ``Unauthenticated``: ``wrong_login`` if name or password is wrong, and only when both are right
        ``totp_needed`` or ``wrong_totp``. Raises ``TooManyAttempts``.
        """
        counted = await self._counted_name(name)
        known = Known.BY_MARK if marks and self._marks.knows(marks, counted) else Known.NOT
        async with self.delays.attempt(Guess.PASSWORD, address=address, name=counted, known=known) as attempt:
            proof = await self._users.prove(name, password)
            if proof is None:
                attempt.fail()
                raise Unauthenticated("wrong name or password", code="wrong_login")
            attempt.succeed()
        factor = await self._second_step(proof, code, address, known)
        self.delays.remember(proof.user.username, address)
        token = await self._sessions.open(
            proof.user.id, kind=kind, user_agent=user_agent, address=address, password_hash=proof.password_hash
        )
        marks = self._marks.with_user(marks, proof.user.username)
        return SignedIn(user=proof.user, token=token, factor=factor, marks=marks)

    async def _counted_name(self, name: str) -> str:
        """Return the user name under which attempts are counted: the same for the name and the e-mail address."""
        user = await self._users.by_email(name) if "@" in name else None
        return name if user is None else user.username

    async def _second_step(self, proof: Proof, code: str, address: str, known: Known) -> Factor | None:
        if not proof.user.has_totp:
            return None
        if not code:
            raise Unauthenticated("a code of the second factor is needed", code="totp_needed")
        return await self._accept(proof.user, code, address, known)

    async def _accept(self, user: User, code: str, address: str, known: Known) -> Factor:
        async with self.delays.attempt(Guess.CODE, address=address, name=user.username, known=known) as attempt:
            factor = await self._second_factor.accept(user.id, code)
            if factor is None:
                attempt.fail()
                raise Unauthenticated("this code is not right, or was used", code="wrong_totp")
            attempt.succeed()
        return factor

    async def prove_again(self, user: User, password: str, code: str | None = None, *, address: str) -> Factor | None:
        """Check a signed-in user's password again, and (unless ``code`` is ``None``) a code if the user has TOTP on.

        Raises ``Forbidden`` (``wrong_password``, ``wrong_totp``) and ``TooManyAttempts``.
        """
        known = Known.SIGNED_IN
        async with self.delays.attempt(Guess.PASSWORD, address=address, name=user.username, known=known) as attempt:
            if await self._users.verify(user.username, password) is None:
                attempt.fail()
                raise Forbidden("wrong password", code="wrong_password")
            attempt.succeed()
        if code is None or not user.has_totp:
            return None
        try:
            return await self._accept(user, code, address, known)
        except Unauthenticated:
            raise Forbidden("this code is not right, or was used", code="wrong_totp/again") from None
