"""``shoal accounts set|diagnose|timeline|…``: an account's settings, and why it does not reply, over the API."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from shoal.cli.accounts import accounts
from shoal.cli.arguments import AccountId, AsJson, Limit, Since
from shoal.cli.moments import local, moment
from shoal.cli.output import Row, ask, given, publish, saved
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import rows_table
from shoal.cli.words import printable, reason_words, state_word, words
from shoal.errors import ConfigError

_SERVERS_OWN = "server"
"""What is typed for a limit or a duration to use the server's setting."""


@accounts.command("set", help=words("cli.settings.help.set"))
def change_settings(
    *,
    account_id: AccountId,
    name: Annotated[str | None, typer.Option(help=words("cli.settings.help.name"), show_default=False)] = None,
    remark: Annotated[str | None, typer.Option(help=words("cli.accounts.help.remark"), show_default=False)] = None,
    pause: Annotated[
        int | None, typer.Option(min=0, max=60, help=words("cli.settings.help.pause"), show_default=False)
    ] = None,
    merge_delay: Annotated[
        str | None, typer.Option(metavar="SECONDS", help=words("cli.settings.help.merge_delay"), show_default=False)
    ] = None,
    buyer_limit: Annotated[
        str | None, typer.Option(metavar="NUMBER", help=words("cli.settings.help.buyer_limit"), show_default=False)
    ] = None,
    shop_limit: Annotated[
        str | None, typer.Option(metavar="NUMBER", help=words("cli.settings.help.shop_limit"), show_default=False)
    ] = None,
    default_reply: Annotated[
        str | None, typer.Option(help=words("cli.settings.help.default_reply"), show_default=False)
    ] = None,
    answer_all: Annotated[
        bool | None, typer.Option("--default-on/--default-off", help=words("cli.settings.help.answer_all"))
    ] = None,
    once: Annotated[
        bool | None, typer.Option("--default-once/--default-always", help=words("cli.settings.help.once"))
    ] = None,
    paid_message: Annotated[
        str | None, typer.Option(help=words("cli.settings.help.paid_message"), show_default=False)
    ] = None,
    replies: Annotated[
        bool | None, typer.Option("--replies/--no-replies", help=words("cli.deliveries.help.replies"))
    ] = None,
    delivery: Annotated[
        bool | None, typer.Option("--delivery/--no-delivery", help=words("cli.deliveries.help.delivery"))
    ] = None,
    auto_confirm: Annotated[
        bool | None, typer.Option("--auto-confirm/--no-auto-confirm", help=words("cli.deliveries.help.auto_confirm"))
    ] = None,
    free_shipping: Annotated[
        bool | None, typer.Option("--free-shipping/--no-free-shipping", help=words("cli.settings.help.free_shipping"))
    ] = None,
    timezone: Annotated[str | None, typer.Option(help=words("cli.settings.help.timezone"), show_default=False)] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Change the settings that are given, in one change; the others stay."""
    asked = {
        "name": name, "remark": remark, "pause_duration": pause, "default_reply": default_reply,
        "default_reply_enabled": answer_all, "default_reply_once": once, "paid_message": paid_message,
        "replies": replies, "delivery": delivery, "auto_confirm": auto_confirm, "free_shipping": free_shipping,
        "timezone": timezone,
    }  # fmt: skip
    body: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    body |= _numbers(
        debounce_seconds=merge_delay, buyer_replies_per_hour=buyer_limit, shop_replies_per_minute=shop_limit
    )
    if not body:
        raise ConfigError("cli.error.nothing_to_change")
    ask(url, "PATCH", "cookies", account_id, "settings", body=body, shown=saved, as_json=as_json)


@accounts.command("diagnose", help=words("cli.settings.help.diagnose"))
def diagnose_account(account_id: AccountId, url: Url = None, as_json: AsJson = False) -> None:
    """Say why an account does not reply, and what to do. Exits with 1 when it does not."""
    run(_diagnose(url, account_id, as_json=as_json))


@accounts.command("timeline", help=words("cli.settings.help.timeline"))
def show_timeline(
    account_id: AccountId, since: Since = None, limit: Limit = 50, url: Url = None, as_json: AsJson = False
) -> None:
    """List the states of an account, newest first, and its uptime."""
    params = given(since=moment(since), limit=min(limit, 200))
    ask(url, "GET", "cookies", account_id, "timeline", params=params, shown=_timeline, as_json=as_json)


@accounts.command("forget-greeted", help=words("cli.settings.help.forget_greeted"))
def forget_greeted(account_id: AccountId, url: Url = None, as_json: AsJson = False) -> None:
    """Forget which chats got the default reply that is sent once."""
    path = ("default-replies", account_id, "clear-records")
    ask(url, "POST", *path, shown=lambda _: words("cli.settings.forgotten"), as_json=as_json)


@accounts.command("check-proxy", help=words("cli.settings.help.check_proxy"))
def check_proxy(account_id: AccountId, url: Url = None, as_json: AsJson = False) -> None:
    """Connect to the site once through the account's proxy. Exits with 1 when that fails."""
    run(_check_proxy(url, account_id, as_json=as_json))


async def _diagnose(url: str | None, account_id: str, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = await client.call("GET", "cookies", account_id, "diagnosis")
    publish(found, _findings, as_json=as_json)
    if not found["replying"]:
        raise typer.Exit(1)


async def _check_proxy(url: str | None, account_id: str, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = await client.call("POST", "console", "proxy-check", body={"account": account_id})
    publish(found, lambda one: printable(" ".join(filter(None, (one["detail"], one["do"])))), as_json=as_json)
    if not found["ok"]:
        raise typer.Exit(1)


def _numbers(**texts: str | None) -> dict[str, float | None]:
    """Return limits and durations. Raises ``typer.BadParameter`` for a text that is no number."""
    found: dict[str, float | None] = {}
    for name, text in texts.items():
        if text is None:
            continue
        try:
            found[name] = None if text == _SERVERS_OWN else float(text) if name == "debounce_seconds" else int(text)
        except ValueError:
            raise typer.BadParameter(words("cli.settings.bad_number", text=text)) from None
    return found


def _findings(found: Row) -> Table:
    rows = (
        (
            Text("✓" if one["ok"] else "✗", "green" if one["ok"] else "bold red"),
            one["detail"],
            one["do"],
        )
        for one in found["checks"]
    )
    return rows_table(("ok", "finding", "what_to_do"), rows)


def _timeline(found: Row) -> Table:
    rows = (
        (state_word(one["state"]), reason_words(one["reason"]) if one["reason"] else "", local(one["since"]),
         local(one["until"]))
        for one in found["items"]
    )  # fmt: skip
    table = rows_table(("state", "reason", "since", "until"), rows)
    uptime = found["uptime"]
    table.caption = words("cli.settings.uptime", day=_share(uptime["day"]), week=_share(uptime["week"]))
    table.caption_justify = "left"
    return table


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
