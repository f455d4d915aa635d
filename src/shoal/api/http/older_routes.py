"""The routes of the system that sellers come from: ``docs/api.md`` says what each of them does here."""

from __future__ import annotations

from typing import Final

_PATHS: Final = """
/ GET
/admin GET
/admin/backup/download GET
/admin/backup/list GET
/admin/backup/upload POST
/admin/cookies GET
/admin/data/{table_name} GET DELETE
/admin/data/{table_name}/{record_id} DELETE
/admin/log-files GET
/admin/logs GET
/admin/logs/export GET
/admin/risk-control-logs GET
/admin/stats GET
/admin/users GET
/admin/users/{user_id} DELETE
/ai-reply-settings GET
/ai-reply-settings/{cid} GET PUT
/ai-reply-test/{cid} POST
/api/orders GET
/backup/export GET
/backup/import POST
/cards GET POST
/cards/{card_id} GET PUT DELETE
/cards/{card_id}/image PUT
/change-admin-password POST
/cookie/{cid}/account-info POST
/cookie/{cid}/details GET
/cookies GET POST
/cookies/check GET
/cookies/details GET
/cookies/{cid} PUT DELETE
/cookies/{cid}/auto-confirm GET PUT
/cookies/{cid}/pause-duration GET PUT
/cookies/{cid}/remark GET PUT
/cookies/{cid}/status PUT
/debug/keywords-table-info GET
/default-replies GET
/default-replies/{cid} GET PUT DELETE
/default-replies/{cid}/clear-records POST
/delivery-rules GET POST
/delivery-rules/{card_rule_id} GET PUT DELETE
/generate-captcha POST
/health GET
/item-reply/batch DELETE
/item-reply/{cid}/{item_id} GET PUT DELETE
/itemReplays GET
/itemReplays/cookie/{cid} GET
/items GET
/items/batch DELETE
/items/cookie/{cid} GET
/items/get-all-from-account POST
/items/get-by-page POST
/items/search POST
/items/search_multiple POST
/items/{cid} GET
/items/{cid}/{item_id} GET PUT DELETE
/items/{cid}/{item_id}/multi-quantity-delivery PUT
/items/{cid}/{item_id}/multi-spec PUT
/keywords-export/{cid} GET
/keywords-import/{cid} POST
/keywords-with-item-id/{cid} GET POST
/keywords-with-type/{cid} GET
/keywords/{cid} GET POST
/keywords/{cid}/image POST
/keywords/{cid}/{index} DELETE
/login POST
/login-info-settings PUT
/login-info-status GET
/login.html GET
/logout POST
/logs GET
/logs/clear POST
/logs/stats GET
/message-notifications GET
/message-notifications/account/{cid} DELETE
/message-notifications/{cid} GET POST
/message-notifications/{notification_id} DELETE
/notification-channels GET POST
/notification-channels/{channel_id} GET PUT DELETE
/password-login POST
/password-login/check/{session_id} GET
/qr-login/check/{session_id} GET
/qr-login/cooldown-status/{cid} GET
/qr-login/generate POST
/qr-login/refresh-cookies POST
/qr-login/reset-cooldown/{cid} POST
/register POST
/register.html GET
/registration-settings PUT
/registration-status GET
/risk-control-logs GET
/risk-control-logs/{log_id} DELETE
/send-message POST
/send-verification-code POST
/system-settings GET
/system-settings/{key} PUT
/system/reload-cache POST
/upload-image POST
/user-settings GET
/user-settings/{key} GET PUT
/verify GET
/verify-captcha POST
/xianyu/reply POST
"""

OLDER_ROUTES: Final = frozenset(
    (method, path) for path, *methods in map(str.split, _PATHS.split("\n")[1:-1]) for method in methods
)
"""Method and path of each, with the names of parameters that they have here."""
