"""The table of errors: code, HTTP status, and the params that answers may show.

A code may carry a variant after a slash (``unknown_account/change``): another status or sentence for the same code, for
routes of the compatible REST dialect. Answers never show the variant. The sentences are in the catalogue ``problems``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shoal.language.catalogue import knows, say
from shoal.language.choice import Language


@dataclass(frozen=True, slots=True)
class Problem:
    """One row. Answers show ``params`` only; ``codes`` names the catalogue for params whose values are codes."""

    code: str
    status: int
    params: tuple[str, ...] = ()
    codes: str = ""

    def sentence(self, language: Language, params: Mapping[str, Any]) -> str:
        """Return the sentence for the user, with the params filled in."""
        shown = {name: self._said(value, language) for name, value in params.items()}
        return say(f"problems.{self.code}", language, **shown)

    def _said(self, value: Any, language: Language) -> Any:
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value))
        if self.codes and isinstance(value, str) and knows(key := f"{self.codes}.{value}"):
            return say(key, language)
        return value

    def shown(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the params that may leave the server."""
        return {name: value for name, value in params.items() if name in self.params}


_ROWS = (
    # ── who asks ──
    Problem("unauthenticated", 401),
    Problem("wrong_login", 401),
    Problem("right_missing", 403, ("needed", "given"), codes="permission"),
    Problem("right_missing/token", 403, ("needed", "given"), codes="permission"),
    Problem("token_not_allowed", 403),
    Problem("staff_owns_none", 403),
    Problem("own_shop", 409),
    Problem("too_many_staff", 409, ("limit",)),
    Problem("too_many_tokens", 409, ("limit",)),
    Problem("totp_needed", 401),
    Problem("wrong_totp", 401),
    Problem("wrong_totp/again", 403),
    Problem("totp_on", 409),
    Problem("totp_off", 409),
    Problem("own_totp", 409),
    Problem("own_password", 409),
    Problem("totp_not_begun", 409),
    Problem("foreign_origin", 403),
    Problem("plain_http", 403),
    Problem("unknown_host", 421, ("host",)),
    Problem("forbidden", 403),
    Problem("registration_closed", 403),
    Problem("bad_password", 422),
    Problem("weak_password", 422, ("why",), codes="weakness"),
    Problem("wrong_password", 403),
    Problem("too_many_attempts", 429, ("retry_after",)),
    Problem("too_many_calls", 429, ("retry_after",)),
    Problem("too_many_requests", 429, ("retry_after",)),
    Problem("too_many_streams", 429, ("limit",)),
    Problem("too_much_work", 429, ("limit", "retry_after")),
    Problem("server_busy", 503, ("retry_after",)),
    Problem("client_left", 499),
    Problem("search_takes_long", 503),
    Problem("sheet_too_costly", 422),
    Problem("too_many_cells", 422, ("limit",)),
    Problem("too_many_pictures", 429, ("retry_after",)),
    Problem("too_many_registrations", 429, ("retry_after",)),
    Problem("unknown_token", 404),
    Problem("bad_username", 422),
    Problem("bad_email", 422),
    Problem("username_taken", 409),
    Problem("email_taken", 409),
    # ── the keys of the secrets ──
    Problem("keys_from_setting", 409),
    Problem("rotation_under_way", 409, ("values",)),
    Problem("old_key_needed", 409, ("values",)),
    Problem("no_old_key", 409),
    Problem("key_file_unwritable", 503),
    Problem("key_file_gone", 503),
    Problem("key_file_unusable", 503),
    Problem("key_file_changed", 503),
    Problem("unknown_person", 404),
    Problem("unknown_session", 404),
    Problem("unknown_invitation", 404),
    Problem("last_admin", 409),
    Problem("person_leaving", 409),
    Problem("owns_shops", 409, ("shops",)),
    # ── which account ──
    Problem("unknown_account", 404),
    Problem("unknown_account/change", 403),
    Problem("unknown_account/read", 403),
    Problem("unknown_account/batch", 404, ("ids",)),
    Problem("unknown_account/rules", 404),
    Problem("bad_account_id", 422),
    Problem("reserved_account_id", 422),
    Problem("account_exists", 409),
    Problem("account_exists/foreign", 400),
    Problem("account_vanishing", 409),
    Problem("removed_since", 409),
    Problem("duplicate_unb", 409, ("id",)),
    Problem("unknown_number", 404),
    Problem("other_holder", 409, ("number",)),
    Problem("too_many_shops", 409, ("limit",)),
    Problem("other_unb", 409, ("expected", "found")),
    Problem("stale_generation", 412, ("id", "generation")),
    Problem("stale_generation/busy", 409, ("id",)),
    Problem("conflict", 409),
    Problem("unknown_entry", 404),
    Problem("not_undoable", 422),
    Problem("not_undoable/gone", 422),
    Problem("undo_conflict", 409, ("fields",)),
    # ── what was sent ──
    Problem("invalid", 422),
    Problem("invalid_body", 422),
    Problem("bad_body", 400),
    Problem("body_too_large", 413, ("limit",)),
    Problem("empty_secret", 422, ("field",)),
    Problem("malformed_cookie", 422, ("reason",), codes="cookie_flaw"),
    Problem("cookie_incomplete", 422, ("missing",)),
    Problem("nothing_given", 400),
    Problem("text_too_long", 422, ("limit",)),
    Problem("not_a_flag", 422, ("field",)),
    Problem("unknown_setting", 422, ("field",)),
    Problem("bad_pause_duration", 400),
    Problem("bad_debounce", 422),
    Problem("bad_proxy", 422, ("reason",)),
    Problem("masked_proxy", 422),
    Problem("bad_reply_limit", 422, ("field", "limit")),
    Problem("unknown_buyer", 422),
    Problem("account_disabled", 409),
    Problem("not_connected", 409, ("state", "reason")),
    Problem("not_sent", 409, ("reason",), codes="retry"),
    Problem("bad_item_id", 422),
    Problem("unknown_item", 404),
    Problem("no_reply", 404),
    Problem("said_once", 404),
    Problem("bad_moment", 422),
    Problem("unknown_item_reply", 404),
    Problem("empty_item_reply", 400),
    Problem("empty_keyword", 400),
    Problem("duplicate_keyword", 400, ("keyword",)),
    Problem("duplicate_keyword/item", 400, ("keyword", "item")),
    Problem("image_keyword_exists", 400, ("keyword",)),
    Problem("keyword_too_long", 422, ("keyword", "keyword_limit", "reply_limit")),
    Problem("too_many_keywords", 422, ("limit",)),
    Problem("bad_keyword_index", 400),
    Problem("unknown_rule", 404),
    Problem("rule_exists", 409, ("keyword",)),
    Problem("too_many_words", 422, ("limit",)),
    Problem("too_many_words_in_all", 422, ("limit",)),
    Problem("too_many_items", 422, ("limit",)),
    Problem("bad_priority", 422, ("limit",)),
    Problem("too_many_spans", 422, ("limit",)),
    Problem("bad_schedule", 422),
    Problem("too_many_parts", 422, ("limit",)),
    Problem("bad_part", 422),
    Problem("bad_image_url", 422),
    Problem("bad_delay", 422, ("limit",)),
    Problem("bad_cooldown", 422, ("limit",)),
    Problem("bad_pattern", 422, ("pattern", "why")),
    Problem("too_many_patterns", 422, ("limit",)),
    Problem("patterns_too_large", 422),
    Problem("order_incomplete", 422),
    Problem("order_against_priority", 422, ("keyword", "priority", "other", "other_priority")),
    Problem("bad_rule_id", 422),
    Problem("duplicate_rule_id", 422),
    Problem("bad_timezone", 422),
    Problem("bad_picture", 422),
    Problem("keyword_exists", 400, ("keyword",)),
    Problem("picture_too_large", 422, ("limit",)),
    Problem("picture_missing", 404),
    # ── deliveries ──
    Problem("too_many_deliveries", 422, ("limit",)),
    Problem("delivery_twice", 409, ("item", "spec")),
    Problem("delivery_item_or_title", 422),
    Problem("delivery_count_without_goods", 422),
    Problem("delivery_codes_without_goods", 422),
    Problem("bad_delivery_title", 422, ("limit",)),
    Problem("bad_delivery_spec", 422, ("limit",)),
    Problem("bad_delivery_goods", 422),
    Problem("bad_delivery_count", 422, ("limit",)),
    Problem("bad_delivery_delay", 422, ("limit",)),
    Problem("bad_delivery_confirm", 422, ("limit",)),
    # ── files with tables ──
    Problem("not_xlsx", 400),
    Problem("sheet_too_large", 400, ("limit",)),
    Problem("too_many_sheet_rows", 400, ("limit", "rows")),
    Problem("no_rows", 400),
    Problem("missing_columns", 400, ("missing", "found")),
    Problem("duplicate_column", 400, ("column",)),
    Problem("bad_rows", 400, ("count", "said", "rows")),
    Problem("cell_formula", 400),
    Problem("cell_no_text", 400),
    Problem("cell_match_mode", 400),
    Problem("cell_word_mode", 400),
    Problem("cell_priority", 400),
    Problem("cell_schedule", 400),
    Problem("cell_delay_seconds", 400),
    Problem("cell_cooldown_seconds", 400),
    Problem("cell_active", 400),
    Problem("bad_rule_shape", 400),
    Problem("bad_rules_file", 400, ("why",)),
    Problem("cells_merged", 400, ("cells",)),
    Problem("duplicate_row", 400, ("keyword", "first")),
    Problem("file_not_made", 503),
    Problem("unknown_qr_login", 404),
    Problem("too_many_qr_logins", 409, ("limit",)),
    Problem("qr_login_failed", 503),
    Problem("qr_answer_lost", 503),
    Problem("proxy_unreachable", 503),
    Problem("proxy_refused", 503),
    Problem("proxy_not_allowed", 503),
    Problem("proxy_untrusted", 503),
    Problem("proxy_no_route", 503),
    Problem("batch_too_large", 422, ("limit",)),
    Problem("bad_cursor", 422),
    Problem("bad_span", 422, ("limit",)),
    Problem("bad_if_match", 422),
    Problem("bad_if_match/batch", 422),
    Problem("bad_idempotency_key", 422),
    Problem("idempotency_mismatch", 422),
    # ── orders ──
    Problem("unknown_order", 404),
    Problem("unknown_payment", 404),
    Problem("unknown_act", 404, ("action",), codes="order_step"),
    Problem("order_settled", 409, ("status",), codes="order_status"),
    Problem("order_refunding", 409),
    Problem("nothing_to_serve", 409, ("status",), codes="order_status"),
    Problem("goes_in_parcel", 409),
    Problem("act_done", 409, ("action",), codes="order_step"),
    Problem("act_under_way", 409, ("action",), codes="order_step"),
    Problem("act_settled", 409, ("action",), codes="order_step"),
    # ── the store ──
    Problem("lock_timeout", 503, ("operation", "held_seconds")),
    Problem("not_applied", 503),
    Problem("store_degraded", 503),
    Problem("store_checking", 503),
    Problem("outcome_unknown", 503),
    Problem("picture_not_stored", 503),
    Problem("store_error", 503),
    # ── the rest ──
    Problem("temporary_failure", 503),
    Problem("needs_owner", 409),
    Problem("cookie_unchanged", 409),
    Problem("not_found", 404),
    Problem("method_not_allowed", 405),
    Problem("internal_error", 500),
)

PROBLEMS = {row.code: row for row in _ROWS}
"""All codes that an answer may carry."""
