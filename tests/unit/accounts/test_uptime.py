"""Uptime is the running share of the wanted time: pure, and honest about what it does not know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.accounts.account import AccountState, StateMove, StopReason
from shoal.accounts.state_history import intervals, uptime

S = AccountState


def moves(*steps: tuple[int, AccountState] | tuple[int, AccountState, str]) -> list[StateMove]:
    return [
        StateMove(account_id="shop", at_ms=step[0], state=step[1], reason=step[2] if len(step) == 3 else "")
        for step in steps
    ]


def test_an_account_that_always_ran_was_up_all_the_time() -> None:
    assert uptime(moves((100, S.RUNNING)), since_ms=0, now_ms=200) == 1.0
    assert uptime(moves((100, S.RUNNING)), since_ms=150, now_ms=200) == 1.0


def test_only_the_time_in_which_it_was_wanted_counts() -> None:
    steps = moves((0, S.STARTING), (10, S.RUNNING), (60, S.STOPPED), (900, S.RUNNING))
    assert uptime(steps, since_ms=0, now_ms=940) == 0.9


@pytest.mark.parametrize("state", [S.WAITING, S.STARTING, S.RETRYING, S.PARKED, S.STOPPING])
def test_a_wanted_account_that_does_not_run_is_down(state: AccountState) -> None:
    assert uptime(moves((0, S.RUNNING), (30, state)), since_ms=0, now_ms=40) == 0.75


@pytest.mark.parametrize("reason", list(StopReason))
def test_the_time_in_which_the_server_was_down_counts_as_down(reason: StopReason) -> None:
    steps = moves((0, S.RUNNING), (50, S.STOPPED, reason), (100, S.RUNNING))
    assert uptime(steps, since_ms=0, now_ms=200) == 0.75


def test_what_runs_on_another_machine_is_for_that_to_say() -> None:
    assert uptime(moves((0, S.ELSEWHERE), (50, S.RUNNING)), since_ms=0, now_ms=100) == 1.0


@pytest.mark.parametrize("steps", [[], moves((0, S.STOPPED)), moves((0, S.ELSEWHERE)), moves((100, S.RUNNING))])
def test_of_an_account_that_was_never_wanted_there_is_no_uptime(steps: list[StateMove]) -> None:
    assert uptime(steps, since_ms=0, now_ms=100) is None


def test_the_state_at_the_beginning_is_that_of_the_move_before() -> None:
    steps = moves((0, S.RUNNING), (150, S.RETRYING))
    assert uptime(steps, since_ms=100, now_ms=200) == 0.5


def test_stretches_follow_each_other_and_end_now() -> None:
    stretches = intervals(moves((0, S.STARTING), (5, S.RUNNING), (3, S.RETRYING, "crashed")), 9)
    assert [(stretch.state, stretch.from_ms, stretch.to_ms) for stretch in stretches] == [
        (S.STARTING, 0, 5), (S.RUNNING, 5, 5), (S.RETRYING, 3, 9),
    ]  # fmt: skip
    assert stretches[-1].reason == "crashed"
    assert intervals([], 9) == []


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(list(AccountState))), max_size=20),
    st.integers(0, 1000),
    st.integers(0, 2000),
)
def test_it_is_a_share_whatever_the_clocks_said(
    steps: list[tuple[int, AccountState]], since_ms: int, now_ms: int
) -> None:
    share = uptime(moves(*steps), since_ms=since_ms, now_ms=now_ms)
    assert share is None or 0.0 <= share <= 1.0
