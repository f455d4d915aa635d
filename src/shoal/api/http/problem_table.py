"""The table of errors: code, HTTP status, and the params that answers may show.

A code may carry a variant after a slash (``unknown_account/change``): another status or sentence for the same code, for
routes of the compatible REST dialect. Answers never show the variant. The sentences are in the catalogue ``problems``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shoal.language.catalogue import knows, translate
from shoal.language.choice import Language

SHAPES: Final[Mapping[str, frozenset[str]]] = {
    "missing": frozenset({"missing"}),
    "unknown": frozenset({"extra_forbidden"}),
    "long": frozenset({"string_too_long", "too_long"}),
    "short": frozenset({"string_too_short", "too_short"}),
    "bounds": frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal"}),
    "wrong": frozenset(),
}
"""What is wrong with a field, by the kinds of errors of pydantic; all else has the wrong form."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One row. Answers show ``params`` and the refused field; ``codes``: the catalogue of params that are codes."""

    code: str
    status: int
    params: tuple[str, ...] = ()
    codes: str = ""

    def sentence(self, language: Language, params: Mapping[str, Any]) -> str:
        """Return the sentence for the user, with the params filled in."""
        shown = {name: self._text_of(value, language) for name, value in params.items()}
        return translate(f"problems.{self.code}", language, **shown)

    def _text_of(self, value: Any, language: Language) -> Any:
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value))
        if self.codes and isinstance(value, str) and knows(key := f"{self.codes}.{value}"):
            return translate(key, language)
        return value

    def shown(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the params that may leave the server."""
        return {name: value for name, value in params.items() if name in self.params or name == "field"}


def _rows(status: int, names: str, *params: str, codes: str = "") -> Iterator[Problem]:
    """Return a row for each of the codes in ``names``."""
    return (Problem(name, status, params, codes) for name in names.split())


_ALL = (
    # ── who asks ──
    *_rows(401, "unauthenticated wrong_login totp_needed wrong_totp"),
    *_rows(403, "right_missing right_missing/token", "needed", "given", codes="permission"),
    *_rows(
        403,
        "token_not_allowed staff_owns_none wrong_totp/again foreign_origin plain_http forbidden "
        "registration_closed wrong_password",
    ),
    *_rows(
        409,
        "own_shop totp_on totp_off own_totp own_password totp_not_begun username_taken email_taken last_admin "
        "person_leaving",
    ),
    *_rows(409, "too_many_staff too_many_tokens", "limit"),
    *_rows(421, "unknown_host", "host"),
    *_rows(422, "bad_password sheet_too_costly bad_username bad_email"),
    *_rows(422, "weak_password", "why", codes="weakness"),
    *_rows(
        429,
        "too_many_attempts too_many_calls too_many_requests too_many_pictures too_many_registrations",
        "retry_after",
    ),
    *_rows(429, "too_many_streams", "limit"),
    *_rows(429, "too_much_work", "limit", "retry_after"),
    *_rows(503, "server_busy", "retry_after"),
    *_rows(499, "client_left"),
    *_rows(503, "search_takes_long"),
    *_rows(422, "too_many_cells", "limit"),
    *_rows(404, "unknown_token unknown_person unknown_session unknown_invitation"),
    *_rows(409, "owns_shops", "shops"),
    # ── which account ──
    *_rows(404, "unknown_account unknown_account/rules unknown_number unknown_entry"),
    *_rows(403, "unknown_account/change unknown_account/read"),
    *_rows(404, "unknown_account/batch", "ids"),
    *_rows(422, "bad_account_id reserved_account_id not_undoable not_undoable/gone"),
    *_rows(409, "account_exists account_vanishing removed_since answer_lost conflict"),
    *_rows(400, "account_exists/foreign"),
    *_rows(409, "duplicate_unb stale_generation/busy", "id"),
    *_rows(409, "other_holder", "number"),
    *_rows(409, "too_many_shops", "limit"),
    *_rows(409, "other_unb", "expected", "found"),
    *_rows(412, "stale_generation", "id", "generation"),
    *_rows(409, "undo_conflict", "fields"),
    # ── what the older system does ──
    *_rows(
        410,
        "gone/captcha gone/password_login gone/refresh_cookies gone/item_search gone/items gone/settings "
        "gone/user_settings gone/clear_logs gone/log_files gone/risk_control_logs gone/backups gone/tables "
        "gone/table_info",
    ),
    *_rows(409, "setting_of_start", "setting"),
    *_rows(409, "no_default_password not_connected/items"),
    *_rows(400, "own_user"),
    *_rows(404, "unknown_user_setting unknown_item/old"),
    # ── notices ──
    *_rows(404, "unknown_channel unknown_channel/old no_message_notification unknown_webhook"),
    *_rows(422, "unknown_service", "service", "known"),
    *_rows(422, "channel_field channel_field_missing", "service", "field"),
    *_rows(422, "channel_field_unknown", "service", "field", "known"),
    *_rows(
        422,
        "channel_password_in_clear push_service_unknown push_keys_unusable channel_address channel_of_qq_number "
        "bad_quiet_hours no_tags_yet unknown_event replay_from",
    ),
    *_rows(422, "channel_config", "field"),
    *_rows(422, "bad_channel_name subscription_too_long webhook_url", "limit"),
    *_rows(409, "too_many_channels too_many_webhooks", "limit"),
    *_rows(422, "unknown_incident_kind unknown_event_kind", "kind"),
    *_rows(429, "too_many_channel_tests", "retry_after"),
    *_rows(422, "webhook_secret", "least", "most"),
    # ── goods ──
    *_rows(404, "unknown_goods unknown_unit unknown_batch unknown_card unknown_card_rule"),
    *_rows(
        422,
        "bad_card_type card_picture_missing bad_api_config card_keyword_missing each_spec_is_heeded "
        "each_piece_is_served supplier_missing supplier_only uses_only_reusable text_only_fixed "
        "goods_without_units unit_unreadable unit_several_columns unknown_encoding csv_unreadable "
        "not_a_units_file reason_missing",
    ),
    *_rows(
        409,
        "card_has_units goods_in_use no_shop_for_rule units_arrived no_supplied_unit units_were_given_back "
        "batch_importing",
    ),
    *_rows(400, "card_spec_missing"),
    *_rows(409, "card_in_rules", "shops"),
    *_rows(409, "card_rule_exists", "id"),
    *_rows(
        422,
        "supplier_field supplier_url supplier_body supplier_path supplier_secret goods_field_fixed",
        "field",
        codes="fields",
    ),
    *_rows(422, "supplier_header", "name"),
    *_rows(422, "supplier_variable", "field", "name", codes="fields"),
    *_rows(422, "bad_goods_name goods_text_too_long unit_too_long too_many_lines reason_too_long", "limit"),
    *_rows(422, "goods_number", "field", "least", "most", codes="fields"),
    *_rows(422, "message_too_long", "limit", "units", "longest"),
    *_rows(409, "too_many_goods too_many_units", "limit"),
    *_rows(409, "unit_not_free unit_not_out unit_not_doubted unit_of_no_order", "state", codes="unit_state"),
    *_rows(409, "units_may_have_arrived batch_in_use", "units"),
    # ── what was sent ──
    *_rows(
        422,
        "invalid bad_debounce bad_price_floor masked_proxy unknown_buyer bad_item_id bad_moment "
        "bad_schedule bad_part bad_image_url patterns_too_large order_incomplete bad_rule_id duplicate_rule_id "
        "bad_timezone bad_picture",
    ),
    *_rows(400, "bad_body nothing_given bad_pause_duration empty_item_reply empty_keyword bad_keyword_index"),
    *_rows(422, "invalid_body invalid_query", "places"),
    *_rows(
        422,
        " ".join(f"invalid_{what}/{shape}" for what in ("body", "query") for shape in SHAPES),
        "field",
        "places",
        codes="fields",
    ),
    *_rows(413, "body_too_large", "limit"),
    *_rows(422, "empty_secret not_a_flag", "field", codes="fields"),
    *_rows(422, "malformed_cookie", "reason", codes="cookie_flaw"),
    *_rows(422, "cookie_incomplete", "missing"),
    *_rows(
        422,
        "text_too_long bad_opening_hours bad_holidays too_many_keywords too_many_words too_many_words_in_all "
        "too_many_items bad_priority too_many_spans too_many_parts bad_delay bad_cooldown too_many_patterns "
        "too_many_orders too_many_days picture_too_large",
        "limit",
    ),
    *_rows(422, "unknown_setting", "field"),
    *_rows(422, "bad_handoff_words", "limit", "characters"),
    *_rows(409, "filtered", "words"),
    *_rows(422, "bad_proxy", "reason"),
    *_rows(422, "bad_reply_limit", "field", "limit", codes="fields"),
    *_rows(409, "account_disabled"),
    *_rows(409, "not_connected", "state", "reason"),
    *_rows(409, "not_sent", "reason", codes="retry"),
    *_rows(404, "unknown_item no_reply said_once unknown_item_reply unknown_rule picture_missing"),
    *_rows(404, "answer_filtered", "words"),
    *_rows(400, "duplicate_keyword image_keyword_exists keyword_exists", "keyword"),
    *_rows(400, "duplicate_keyword/item", "keyword", "item"),
    *_rows(422, "keyword_too_long", "keyword", "keyword_limit", "reply_limit"),
    *_rows(409, "rule_exists", "keyword"),
    *_rows(422, "bad_pattern", "pattern", "why"),
    *_rows(422, "order_against_priority", "keyword", "priority", "other", "other_priority"),
    # ── deliveries ──
    *_rows(
        422,
        "too_many_deliveries bad_delivery_title bad_delivery_spec bad_delivery_count bad_delivery_delay "
        "bad_delivery_confirm",
        "limit",
    ),
    *_rows(409, "delivery_twice", "item", "spec"),
    *_rows(422, "delivery_item_or_title delivery_count_without_goods delivery_codes_without_goods bad_delivery_goods"),
    *_rows(422, "delivery_goods_unknown", "item", "spec", "goods"),
    *_rows(403, "delivery_goods_not_shared", "item", "spec", "goods"),
    *_rows(400, "delivery_row_unaimed delivery_row_empty cell_item_rounded cell_confirm"),
    *_rows(400, "delivery_row_twice", "first"),
    *_rows(400, "delivery_goods_unnamed", "name"),
    *_rows(400, "delivery_goods_differ", "goods", "known", "name"),
    # ── files with tables ──
    *_rows(
        400,
        "not_xlsx not_a_table_file csv_more_cells no_rows cell_formula cell_no_text cell_match_mode "
        "cell_word_mode cell_priority cell_schedule cell_delay_seconds cell_cooldown_seconds cell_active "
        "bad_rule_shape",
    ),
    *_rows(400, "sheet_too_large", "limit"),
    *_rows(400, "too_many_sheet_rows", "limit", "rows"),
    *_rows(400, "missing_columns", "missing", "found"),
    *_rows(400, "duplicate_column", "column"),
    *_rows(400, "bad_rows", "count", "said", "rows"),
    *_rows(400, "bad_rules_file", "why"),
    *_rows(409, "buyer_is_written_to", "id"),
    *_rows(409, "buyer_has_open_orders", "id", "orders"),
    # ── files of shops ──
    *_rows(400, "bad_shop_file", "count", "said", "faults"),
    *_rows(400, "shop_file_kind", "kind", codes="shop_file.kind"),
    *_rows(400, "shop_file_alias shop_file_documents shop_file_too_costly"),
    *_rows(400, "shop_file_depth shop_file_length shop_file_size", "limit"),
    *_rows(400, "shop_file_missing shop_file_unknown_name shop_file_unknown_user", "name"),
    *_rows(400, "shop_file_syntax", "why"),
    *_rows(400, "shop_file_tag", "tag"),
    *_rows(400, "shop_file_key_twice", "key"),
    *_rows(400, "shop_file_choice", "choices"),
    *_rows(400, "shop_file_version", "version"),
    *_rows(400, "cells_merged", "cells"),
    *_rows(400, "duplicate_row", "keyword", "first"),
    *_rows(
        503,
        "file_not_made qr_login_failed qr_answer_lost proxy_unreachable proxy_refused proxy_not_allowed "
        "proxy_untrusted proxy_no_route",
    ),
    *_rows(404, "unknown_qr_login"),
    *_rows(409, "too_many_qr_logins", "limit"),
    *_rows(422, "batch_too_large bad_span", "limit"),
    *_rows(422, "unknown_parameter unknown_parameter/near", "name", "near", "taken"),
    *_rows(
        422,
        "bad_tag bad_cursor bad_count_start bad_if_match bad_if_match/batch bad_idempotency_key idempotency_mismatch",
    ),
    # ── orders ──
    *_rows(404, "unknown_order unknown_payment"),
    *_rows(404, "unknown_act", "action", codes="order_step"),
    *_rows(409, "order_settled nothing_to_serve", "status", codes="order_status"),
    *_rows(409, "order_refunding nothing_sent_yet goes_in_parcel"),
    *_rows(503, "order_page_unread"),
    *_rows(409, "no_unit_to_replace unit_replaced", "unit_no"),
    *_rows(409, "out_of_stock", "wanted", "free"),
    *_rows(409, "act_done act_under_way act_settled", "action", codes="order_step"),
    # ── the store ──
    *_rows(503, "lock_timeout", "operation", "held_seconds"),
    *_rows(503, "not_applied store_degraded store_checking node_behind outcome_unknown picture_not_stored store_error"),
    *_rows(422, "bad_after"),
    *_rows(503, "import_cut_off", "taken"),
    # ── the server itself: keys, backups, other servers ──
    *_rows(409, "keys_from_setting no_old_key one_server backups_off backup_running"),
    *_rows(409, "rotation_under_way old_key_needed", "values"),
    *_rows(404, "unknown_node", "name"),
    *_rows(409, "drained_by_server", "worker", "name"),
    *_rows(
        503,
        "owner_unreachable owner_untrusted owner_silent node_unreachable node_untrusted node_gone node_silent",
        "node",
    ),
    *_rows(503, "owner_changing key_file_unwritable key_file_gone key_file_unusable key_file_changed"),
    *_rows(409, "qr_login_left", "node"),
    *_rows(403, "not_signed"),
    *_rows(409, "last_node", "name"),
    # ── work on chats ──
    *_rows(404, "unknown_chat unknown_note unknown_quick_reply"),
    *_rows(409, "buyer_wrote_since", "received"),
    *_rows(422, "bad_until"),
    *_rows(422, "bad_assignee", "username"),
    *_rows(403, "not_your_note"),
    *_rows(409, "too_many_notes too_many_quick_replies", "limit"),
    # ── language models ──
    *_rows(422, "bad_ai_mode old_ai_discount"),
    *_rows(422, "bad_ai_facts", "limit", "question", "answer"),
    *_rows(422, "bad_ai_number", "field", "low", "high", codes="fields"),
    *_rows(404, "unknown_provider unknown_run"),
    *_rows(409, "too_many_providers", "limit"),
    *_rows(409, "provider_in_use", "shops"),
    *_rows(409, "no_provider"),
    *_rows(409, "no_consent", "host"),
    *_rows(422, "provider_url provider_key", "limit"),
    *_rows(422, "provider_text", "field", "limit", codes="fields"),
    *_rows(422, "provider_number", "field", "least", "most", codes="fields"),
    *_rows(422, "provider_consent", "host"),
    *_rows(403, "old_ai_key"),
    *_rows(409, "old_ai_provider", "host", "model"),
    *_rows(409, "run_closed", "state", codes="run_state"),
    # ── moving in from another system ──
    *_rows(404, "unknown_import unknown_import_plan"),
    *_rows(409, "moving_under_way moving_not_done moving_sends_already old_system_runs"),
    *_rows(409, "moving_user_gone", "name"),
    *_rows(422, "moving_choose_user moving_several_files", "names"),
    *_rows(422, "moving_unknown_user", "name", "names"),
    *_rows(422, "moving_unknown_user/near", "name", "near", "names"),
    *_rows(
        422,
        "moving_empty_file moving_unreadable moving_unknown_file moving_other_database moving_damaged "
        "moving_not_json moving_no_tables moving_no_inserts moving_pg_archive moving_dump_cut_off "
        "moving_archive_damaged moving_no_data_file moving_no_env moving_not_env moving_too_costly",
    ),
    *_rows(422, "moving_many_names moving_too_much", "limit"),
    *_rows(413, "moving_too_large", "limit"),
    *_rows(422, "moving_computed", "table"),
    *_rows(422, "moving_unpacks_large", "size", "limit"),
    *_rows(503, "moving_no_room", "need", "free"),
    *_rows(503, "moving_not_stored"),
    # ── the rest ──
    *_rows(503, "temporary_failure"),
    *_rows(409, "needs_owner cookie_unchanged"),
    *_rows(404, "not_found"),
    *_rows(405, "method_not_allowed"),
    *_rows(500, "internal_error"),
)
PROBLEMS = {row.code: row for row in _ALL}
"""All codes that an answer may carry."""
