"""A database of today's xianyu-auto-reply (MySQL) with a value in each column, and the columns that its models have.

The columns are those of its models of August 2026. They are written here a second time: a contract that forgets one is
found by this list.
"""

from __future__ import annotations

import json
from typing import Any

from support.moving.old_database import Rows, dump_of
from support.site.standins import cookie_of, unb_of

MODELS: dict[str, str] = {
    "xy_users": "id external_id username email phone password_hash status role account_limit last_login_at "
    "login_fail_count login_locked_until dock_code secret_key expire_at created_at updated_at",
    "xy_accounts": "id owner_id account_id display_name unb cookie login_method status username login_password remark "
    "pause_duration auto_confirm show_browser metadata last_login_at last_refresh_at proxy_type proxy_host proxy_port "
    "proxy_user proxy_pass refund_cancel_enabled refund_cancel_url refund_cancel_timeout message_expire_time "
    "reply_delay_seconds disable_reason scheduled_redelivery scheduled_rate auto_polish confirm_before_send "
    "send_before_confirm only_send_card auto_red_flower delivery_disabled delivery_disabled_reason auto_close_order "
    "delivery_only_card_after_close delivery_disabled_excluded_items ai_reply_block_ordered_users created_at "
    "updated_at",
    "xy_keyword_rules": "id owner_id account_id keyword reply_content reply_type image_url item_id priority is_active "
    "created_at updated_at",
    "xy_catalog_items": "id owner_id account_id item_id title price ai_prompt is_polished metadata created_at "
    "updated_at",
    "xy_cards": "id user_id item_id name type description enabled delay_seconds delivery_count price is_dockable "
    "fee_payer min_price dock_visibility is_multi_spec spec_name spec_value api_config text_content data_content "
    "image_url image_urls created_at updated_at",
    "xy_card_item_relations": "id user_id card_id item_id source dock_record_id created_at updated_at",
    "xy_default_replies": "id account_id item_id enabled reply_type reply_content reply_image api_url api_timeout "
    "reply_once created_at updated_at",
    "xy_default_reply_records": "id account_id item_id user_id created_at",
    "xy_orders": "id owner_id order_no status buyer_nick buyer_fish_nick buyer_id chat_id item_id spec_name spec_value "
    "quantity amount currency account_id account_name is_bargain receiver_name receiver_phone receiver_address "
    "is_rated is_red_flower is_unregistered unregister_error_reason delivery_method delivery_content "
    "delivery_fail_reason card_only_delivered item_snapshot metadata source placed_at synced_at created_at updated_at",
    "xy_notification_channels": "id owner_id name channel_type config enabled created_at updated_at",
    "xy_message_notifications": "id owner_id account_pk account_identifier channel_id enabled created_at updated_at",
    "xy_message_filters": "id account_id keyword filter_type enabled created_at updated_at",
    "xy_delivery_block_rules": "id account_id rule_code enabled priority block_reason auto_close_order "
    "only_card_after_close excluded_item_ids config created_at updated_at",
    "xy_system_settings": "key value description updated_at",
    "xy_user_settings": "id user_id key value description created_at updated_at",
}
"""The columns of each table that has something of shops."""
OTHERS = frozenset(
    {
        "fy_accounts", "fy_delete_rules", "fy_materials", "fy_product_rules", "fy_publish_rules",
        "xy_account_login_logs", "xy_advertisements", "xy_agent_orders", "xy_ai_chat_messages", "xy_announcements",
        "xy_auto_rate_configs", "xy_auto_reply_message_logs", "xy_chat_quick_phrases", "xy_collect_fallback_accounts",
        "xy_confirm_receipt_messages", "xy_cookie_refresh_schedules", "xy_db_backup_log", "xy_dock_code_bindings",
        "xy_dock_records", "xy_feedback_messages", "xy_feedbacks", "xy_fund_flows", "xy_goofish_crawl_items",
        "xy_goofish_crawl_jobs", "xy_listing_monitor_categories", "xy_listing_monitor_items",
        "xy_listing_monitor_logs", "xy_listing_monitor_tasks", "xy_order_fallback_accounts", "xy_personal_blacklist",
        "xy_platform_blacklist", "xy_popup_announcements", "xy_product_materials", "xy_publish_addresses",
        "xy_publish_logs", "xy_recharge_orders", "xy_risk_control_logs", "xy_scheduled_api_cookie_renew_log",
        "xy_scheduled_close_notice_log", "xy_scheduled_cookies_refresh_log", "xy_scheduled_login_renew_log",
        "xy_scheduled_polish_log", "xy_scheduled_rate_log", "xy_scheduled_red_flower_log",
        "xy_scheduled_redelivery_log", "xy_scheduled_tasks", "xy_scheduled_token_renewal_log",
        "xy_settlement_records", "xy_shared_scan_sessions", "xy_shared_scan_workers", "xy_token_cache",
        "xy_user_publish_addresses",
    }
)  # fmt: skip
"""The other tables that its models have."""
AT = "2026-08-01 10:00:00"
AI: dict[str, Any] = {
    "ai_enabled": True, "enabled": True, "provider_type": "gemini", "model_name": "m-1", "api_key": "sk-canary-ai",
    "base_url": "https://models.example.com/v1", "max_discount_percent": 10, "max_discount_amount": 5,
    "max_bargain_rounds": 3, "custom_prompts": "热情一点", "ai_time_range_start": "09:00", "ai_time_range_end": "18:00",
}  # fmt: skip


def account(number: int = 1, **values: Any) -> dict[str, Any]:
    """An account that is on, with every switch as it comes."""
    return {
        **dict.fromkeys(MODELS["xy_accounts"].split()),
        "id": 30 + number, "owner_id": 1, "account_id": f"shop{number}", "cookie": cookie_of(700 + number),
        "login_method": "cookie", "status": "active", "pause_duration": 10, "auto_confirm": 1, **values,
    }  # fmt: skip


def full_account() -> dict[str, Any]:
    """An account with a value in each of its columns."""
    return account(
        1, account_id="afu", display_name="阿福数码", unb=unb_of(701), username="13800000000",
        login_password="canary-password", remark="备注一", pause_duration=7, show_browser=1,
        metadata=json.dumps({"ai_reply_settings": AI, "cookies_refresh_snapshot": {"a": 1}, "colour": "red"}),
        last_login_at=AT, last_refresh_at=AT, proxy_type="socks5", proxy_host="192.0.2.7", proxy_port=1080,
        proxy_user="u@1", proxy_pass="canary:pass", refund_cancel_enabled=1, refund_cancel_url="https://r.example.com",
        refund_cancel_timeout=30, message_expire_time=3600, reply_delay_seconds=4, disable_reason="密码错误",
        scheduled_redelivery=1, scheduled_rate=1, auto_polish=1, confirm_before_send=1, send_before_confirm=1,
        only_send_card=1, auto_red_flower=1, delivery_disabled=1, delivery_disabled_reason="等补货",
        auto_close_order=1, delivery_only_card_after_close=1, delivery_disabled_excluded_items='["10001"]',
        ai_reply_block_ordered_users=1, created_at=AT, updated_at=AT,
    )  # fmt: skip


STAMPS = {"created_at": AT, "updated_at": AT}


def a_full_database() -> Rows:
    """One row or more of each table, with a value in each column."""
    return {**_shops(), **_what_is_sent(), **_around(), **{table: [{"id": 1, "anything": "x"}] for table in OTHERS}}


def _shops() -> Rows:
    return {
        "xy_users": [
            {"id": 1, "external_id": "x1", "username": "admin", "email": "a@example.com", "phone": "1380000",
             "password_hash": "$2b$12$x", "status": "ACTIVE", "role": "ADMIN", "account_limit": 5, "last_login_at": AT,
             "login_fail_count": 1, "login_locked_until": AT, "dock_code": "D1", "secret_key": "canary-secret",
             "expire_at": AT, **STAMPS},
        ],
        "xy_accounts": [full_account()],
        "xy_keyword_rules": [
            {"id": 1, "owner_id": 1, "account_id": 31, "keyword": "价格\n多少钱", "reply_content": "九块九",
             "reply_type": "text", "image_url": "/static/uploads/a.png", "item_id": "10001", "priority": 7,
             "is_active": 1, **STAMPS},
        ],
        "xy_catalog_items": [
            {"id": 1, "owner_id": 1, "account_id": 31, "item_id": "10001", "title": "手机壳", "price": "9.90",
             "ai_prompt": "只谈手机壳", "is_polished": 1,
             "metadata": json.dumps({"detail": "d", "multi_quantity_delivery": True, "shelf": 3}), **STAMPS},
        ],
        "xy_cards": [
            {"id": 7, "user_id": 1, "item_id": "10009", "name": "月卡", "type": "data",
             "description": "码：{DELIVERY_CONTENT}", "enabled": 1,
             "delay_seconds": 3, "delivery_count": 12, "price": "1.00", "is_dockable": 1,
             "fee_payer": "dealer", "min_price": "2.00", "dock_visibility": "public", "is_multi_spec": 1,
             "spec_name": "时长", "spec_value": "月卡", "api_config": "{}", "text_content": "t",
             "data_content": "CANARY-1\nCANARY-2", "image_url": "/i.png", "image_urls": '["/i.png", "/j.png"]',
             **STAMPS},
        ],
        "xy_card_item_relations": [
            {"id": 1, "user_id": 1, "card_id": 7, "item_id": "10001", "source": "own", "dock_record_id": 0, **STAMPS},
        ],
    }  # fmt: skip


def _what_is_sent() -> Rows:
    return {
        "xy_default_replies": [
            {"id": 1, "account_id": "afu", "item_id": None, "enabled": 1, "reply_type": "text", "reply_content": "稍等",
             "reply_image": "/static/uploads/b.png", "api_url": "https://bot.example.com", "api_timeout": 80,
             "reply_once": 1, **STAMPS},
            {"id": 2, "account_id": "afu", "item_id": "10001", "enabled": 1, "reply_type": "text",
             "reply_content": "现货", "reply_image": "/static/uploads/c.png", "api_url": None, "api_timeout": 80,
             "reply_once": 0, **STAMPS},
        ],
        "xy_default_reply_records": [
            {"id": 1, "account_id": "afu", "item_id": None, "user_id": "55501", "created_at": AT},
            {"id": 2, "account_id": "afu", "item_id": "10001", "user_id": "55502@goofish", "created_at": AT},
        ],
        "xy_orders": [
            {**dict.fromkeys(MODELS["xy_orders"].split(), "x"), "id": 1, "owner_id": 1, "order_no": "9001",
             "status": "pending_ship", "buyer_id": "77", "item_id": "10001", "quantity": 1, "amount": "9.90",
             "account_id": "afu", "placed_at": AT, "synced_at": AT, **STAMPS},
        ],
    }  # fmt: skip


def _around() -> Rows:
    return {
        "xy_notification_channels": [
            {"id": 1, "owner_id": 1, "name": "群", "channel_type": "bark", "enabled": 1,
             "config": json.dumps({"device_key": "k" * 22}), **STAMPS},
        ],
        "xy_message_notifications": [
            {"id": 1, "owner_id": 1, "account_pk": 31, "account_identifier": "afu", "channel_id": 1, "enabled": 1,
             **STAMPS},
        ],
        "xy_message_filters": [
            {"id": 1, "account_id": "afu", "keyword": "发票", "filter_type": "skip_reply", "enabled": 1, **STAMPS},
        ],
        "xy_delivery_block_rules": [
            {"id": 1, "account_id": "afu", "rule_code": "buyer_credit_zero", "enabled": 1, "priority": 10,
             "block_reason": "信用", "auto_close_order": 1, "only_card_after_close": 1,
             "excluded_item_ids": '["10001"]', "config": '{"threshold": 2}', **STAMPS},
        ],
        "xy_system_settings": [
            {"key": "proxy.enabled", "value": "true", "description": "d", "updated_at": AT},
        ],
        "xy_user_settings": [{"id": 1, "user_id": 1, "key": "colour", "value": "red", "description": "d", **STAMPS}],
    }  # fmt: skip


def a_small_database(*accounts: dict[str, Any], **tables: list[dict[str, Any]]) -> Rows:
    """The administrator with these accounts, and these tables."""
    user = {"id": 1, "username": "admin", "email": "a@example.com", "password_hash": "$2b$12$x", "status": "ACTIVE"}
    return {"xy_users": [user], "xy_accounts": list(accounts or (account(),)), **tables}


def as_dump(rows: Rows) -> str:
    """The dump of tables, without those that have no row."""
    return dump_of({table: found for table, found in rows.items() if found})
