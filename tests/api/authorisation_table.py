"""Who may call what, written by hand: what the routes declare of themselves is not asked.

Each kind of route has one line of cells, one for each kind of caller, in the order of ``CALLERS``; below it stand its
routes. A cell has one letter where the route is about no certain shop, else three: about the owner's shop (which is
shared with the partner and three of the staff), one of the stranger, and one that is not there. ``y``: it is done. The
others are in ``REFUSED``. A star: of a shop that one does not know the answer is 403, not 404.

A new route needs a line here: think of each caller before you choose its kind, and write a new kind where none fits.
"""

from __future__ import annotations

from api.authorisation_chats import CHATS

CALLERS = (
    "nobody", "administrator", "owner", "stranger", "partner", "staff-none", "staff-read", "staff-reply",
    "staff-operate", "token-read", "token-reply", "token-operate", "token-own", "token-for-others", "token-of-staff",
)  # fmt: skip
"""The partner may operate the owner's shop. The tokens of four scopes are the owner's; one of scope ``own`` is for the
stranger's shop alone, which is not the owner's; the last, also of scope ``own``, is of the staff that may operate."""
REFUSED = {
    "u": (401, "unauthenticated"), "-": (404, "unknown_account"),
    "o": (403, "unknown_account"), "r": (403, "right_missing"),
    "n": (404, "not_found"), "t": (403, "token_not_allowed"), "s": (403, "staff_owns_none"), "f": (403, "forbidden"),
}  # fmt: skip
ALLOWED = "allowed"

TABLE = """
# kind                                  nobody adm own str par sno sre srp sop tre trp top tow tot tos

## asks nothing                         y      y   y   y   y   y   y   y   y   y   y   y   y   y   y
POST /login
GET /verify
POST /logout
POST /register
POST /console/session
DELETE /console/session
POST /join/look
POST /join
POST /send-message
POST /node-calls/{operation}
POST /node-streams/events
GET /health
GET /health/live
GET /health/ready
GET /docs
GET /openapi.json
GET /shops.schema.json
GET /static/uploads/images/{name}
GET /
GET /admin
GET /login.html
GET /register.html
GET /registration-status
GET /login-info-status
POST /generate-captcha
POST /verify-captcha
POST /send-verification-code
GET /console
GET /console/{path:path}
GET /help
GET /help/{path:path}

## Prometheus, by a token of its own    n      n   n   n   n   n   n   n   n   n   n   n   n   n   n
GET /metrics

## who is signed in                     u      y   y   y   y   y   y   y   y   t   t   t   t   t   t
GET /me
GET /staff
PUT /me/password
POST /me/totp
POST /me/totp/confirm
DELETE /me/totp
POST /me/recovery-codes
GET /sessions
DELETE /sessions
DELETE /sessions/{session_id}
GET /tokens
POST /tokens
DELETE /tokens/{token_id}
GET /security-log
GET /channels/services
GET /channels
POST /channels
GET /channels/{channel_id}
PATCH /channels/{channel_id}
DELETE /channels/{channel_id}
POST /channels/{channel_id}/test
GET /channels/{channel_id}/subscriptions
PUT /channels/{channel_id}/subscriptions
GET /push/key
GET /me/alerts
PUT /me/alerts
GET /webhooks
POST /webhooks
GET /webhooks/{webhook_id}
PATCH /webhooks/{webhook_id}
DELETE /webhooks/{webhook_id}
POST /webhooks/{webhook_id}/test
GET /webhooks/{webhook_id}/attempts
POST /webhooks/{webhook_id}/replay
GET /ai-providers
POST /ai-providers
GET /ai-providers/{provider_id}
PUT /ai-providers/{provider_id}
DELETE /ai-providers/{provider_id}
POST /ai-providers/{provider_id}/check
GET /notices
GET /subscriptions
GET /notification-channels
POST /notification-channels
GET /notification-channels/{channel_id}
PUT /notification-channels/{channel_id}
DELETE /notification-channels/{channel_id}
GET /message-notifications
DELETE /message-notifications/{notification_id}

## who is signed in, about a shop       u      --- y-- -y- y-- --- y-- y-- y-- t   t   t   t   t   t
GET /message-notifications/{cid} *
POST /message-notifications/{cid} *
DELETE /message-notifications/account/{cid} *

## administrators                       u      y   f   f   f   f   f   f   f   t   t   t   t   t   t
POST /change-admin-password
GET /users
POST /users
PATCH /users/{user_id}
DELETE /users/{user_id}
POST /users/{user_id}/password-link
DELETE /users/{user_id}/totp
GET /users/tokens
DELETE /users/{user_id}/tokens/{token_id}
GET /invitations
POST /invitations
DELETE /invitations/{invitation_id}
GET /system/keys
POST /system/keys/rotate
GET /system/nodes
POST /system/nodes/{name:path}/drain
DELETE /system/nodes/{name:path}/drain
GET /system/backups
POST /system/backups
POST /system/backups/make
GET /admin/backup/list
GET /admin/backup/download
POST /admin/backup/upload
POST /system/keys/forget
POST /system/reload-cache
GET /admin/users
DELETE /admin/users/{user_id}
GET /admin/cookies
GET /admin/stats
GET /admin/data/{table_name}
DELETE /admin/data/{table_name}
DELETE /admin/data/{table_name}/{record_id}
GET /admin/logs
GET /admin/log-files
GET /admin/logs/export
GET /admin/risk-control-logs
GET /risk-control-logs
DELETE /risk-control-logs/{log_id}
PUT /registration-settings
PUT /login-info-settings
GET /seller-numbers
DELETE /seller-numbers/{number}

## moves in what one owns               u      y   y   y   y   s   s   s   s   t   t   t   t   t   t
POST /imports/plans
POST /backup/import
GET /imports/plans/{plan_id}
GET /imports/plans/{plan_id}/rows
DELETE /imports/plans/{plan_id}
POST /imports
GET /imports
GET /imports/{run_id}
GET /imports/{run_id}/rows
POST /imports/{run_id}/start

## lists of what one may see            u      y   y   y   y   y   y   y   y   y   y   y   y   y   y
GET /cookies
GET /cookies/details
GET /cookies/check
GET /activity/shops
GET /default-replies
GET /itemReplays
GET /api/orders
GET /ops/{op_id}
GET /events
GET /system/locks
GET /system/status
GET /logs
GET /logs/stats
POST /logs/clear
GET /items
DELETE /items/batch
PUT /items/{cid}/{item_id}
DELETE /items/{cid}/{item_id}
POST /items/search
POST /items/search_multiple
GET /ai-reply-settings
GET /system-settings
PUT /system-settings/{key}
GET /user-settings
GET /user-settings/{key}
PUT /user-settings/{key}
POST /password-login
GET /password-login/check/{session_id}
POST /qr-login/refresh-cookies
GET /debug/keywords-table-info
GET /backup/export

## reads goods of one's own             u      y   y   y   y   y   y   y   y   y   y   y   y   t   y
GET /goods
GET /goods/{goods_id}
GET /goods/{goods_id}/history
GET /goods/{goods_id}/units
GET /goods/{goods_id}/batches
GET /goods/{goods_id}/waiting
GET /cards
GET /cards/{card_id}
GET /delivery-rules
GET /delivery-rules/{card_rule_id}

## adds goods                           u      y   y   y   y   s   s   s   s   r   r   y   y   t   s
POST /goods
POST /cards
POST /delivery-rules
PUT /delivery-rules/{card_rule_id}
DELETE /delivery-rules/{card_rule_id}

## changes goods of one's own           u      y   y   y   y   y   y   y   y   r   r   y   y   t   y
PATCH /goods/{goods_id}
POST /goods/{goods_id}/units
POST /goods/{goods_id}/units/{unit_id}/void
POST /goods/{goods_id}/units/{unit_id}/return
POST /goods/{goods_id}/batches/{batch_id}/undo
POST /goods/{goods_id}/supplier/try
POST /goods/{goods_id}/units/{unit_id}/doubt
POST /goods/{goods_id}/units/{unit_id}/give-back
POST /goods/{goods_id}/serve-waiting
PUT /cards/{card_id}
PUT /cards/{card_id}/image
DELETE /cards/{card_id}

## reads a unit of one's own            u      y   y   y   y   y   y   y   y   r   r   r   y   t   y
POST /goods/{goods_id}/units/{unit_id}/reveal

## work for any shop                    u      y   y   y   y   y   y   y   y   r   r   y   y   y   y
POST /rules-file

## a picture for a reply                u      y   y   y   y   r   r   y   y   r   y   y   y   y   y
POST /pictures
POST /upload-image

## QR logins of one's own               u      y   y   y   y   y   y   y   y   r   r   r   y   y   y
GET /qr-logins
GET /qr-logins/{login_id}
DELETE /qr-logins/{login_id}
GET /qr-login/check/{session_id}
DELETE /buyers/{buyer_id}

## checks before a shop is added        u      y   y   y   y   s   s   s   s   r   r   r   y   y   s
POST /console/cookie-check

## a QR login for whoever scans         u      y   y   y   y   s   s   s   s   r   r   r   y   t   s
POST /qr-login/generate

## a QR login for a shop                u      --y y-y -yy r-y s   s   s   s   r   r   r   y-y t-t s
POST /qr-logins

## adds a shop or renews one's own      u      yyy yyy yyy ryy s   s   s   s   r   r   r   yyy tyt s
POST /cookies

## tries a proxy                        u      --- y-- -y- r-- s   s   s   s   r   r   r   y-- --- s
POST /console/proxy-check

## reads a shop                         u      --- y-- -y- y-- --- y-- y-- y-- y-- y-- y-- y-- --- y--
GET /cookies/{cid}
GET /cookies/{cid}/auto-confirm *
GET /cookies/{cid}/remark *
GET /cookies/{cid}/pause-duration *
GET /cookie/{cid}/details *
POST /cookies/{cid}/try
POST /cookies/{cid}/filter/try
POST /cookies/{cid}/deliveries/try
GET /cookies/{cid}/items
GET /cookies/{cid}/ai
GET /cookies/{cid}/items/{item_id}
GET /cookies/{cid}/items/{item_id}/page
GET /default-replies/{cid} *
GET /itemReplays/cookie/{cid} *
GET /item-reply/{cid}/{item_id} *
GET /items/{cid} *
GET /items/cookie/{cid} *
GET /items/{cid}/{item_id} *
POST /items/get-all-from-account *
POST /items/get-by-page *
GET /ai-reply-settings/{cid} *
GET /qr-login/cooldown-status/{cid} *
POST /qr-login/reset-cooldown/{cid} *
GET /keywords/{cid} *
GET /keywords-with-item-id/{cid} *
GET /keywords-with-type/{cid}
GET /keywords-export/{cid} *
GET /cookies/{cid}/rules
GET /cookies/{cid}/rules/{rule_id}
GET /cookies/{cid}/rules-file
GET /cookies/{cid}/deliveries
GET /cookies/{cid}/deliveries/check
GET /cookies/{cid}/deliveries/file
GET /history
GET /incidents
GET /cookies/{cid}/history
GET /cookies/{cid}/timeline
GET /cookies/{cid}/diagnosis
GET /messages
GET /sendings
GET /chats
GET /ai-runs
GET /ai-runs/{run_id}
GET /ai-usage
GET /cookies/{cid}/pauses
GET /activity
GET /export
GET /orders
GET /orders/export
GET /orders/sums
GET /cookies/{cid}/orders
GET /cookies/{cid}/orders/{order_id}

## replies by the id of a run           u      --- y-- -y- y-- --- r-- y-- y-- rrr y-- y-- y-- --- y--
POST /ai-runs/{run_id}/approve
POST /ai-runs/{run_id}/drop

## replies for a shop                   u      --- y-- -y- y-- --- r-- y-- y-- r-- y-- y-- y-- --- y--
PUT /cookies/{cid}/chats/{chat}/pause
DELETE /cookies/{cid}/chats/{chat}/pause
POST /cookies/{cid}/send
POST /cookies/{cid}/orders/{order_id}/serve
POST /cookies/{cid}/orders/{order_id}/settle
POST /cookies/{cid}/messages/{message_id}/settle

## the same, named in the body          u      --- y-- -y- y-- --- r-- y-- y-- r   y-- y-- y-- --- y--
POST /xianyu/reply

## operates a shop                      u      --- y-- -y- y-- --- r-- r-- y-- r-- r-- y-- y-- --- y--
PUT /cookies/{cid}/status *
POST /cookies/{cid}/resume
PUT /cookies/{cid}/auto-confirm *
PUT /items/{cid}/{item_id}/multi-quantity-delivery *
PUT /items/{cid}/{item_id}/multi-spec *
PUT /cookies/{cid}/remark *
PUT /cookies/{cid}/pause-duration *
PATCH /cookies/{cid}/settings
PUT /cookies/{cid}/ai
POST /cookies/{cid}/ai/try
PUT /cookies/{cid}/items/{item_id}
DELETE /cookies/{cid}/items/{item_id}
POST /cookies/{cid}/items/{item_id}/page
PUT /default-replies/{cid} *
PUT /ai-reply-settings/{cid} *
POST /ai-reply-test/{cid} *
DELETE /default-replies/{cid} *
POST /default-replies/{cid}/clear-records *
PUT /item-reply/{cid}/{item_id} *
DELETE /item-reply/{cid}/{item_id} *
POST /keywords/{cid} *
POST /keywords-with-item-id/{cid} *
POST /keywords-import/{cid} *
POST /keywords/{cid}/image
DELETE /keywords/{cid}/{index}
DELETE /keywords/{cid}/rules/{rule_id}
POST /cookies/{cid}/rules
PUT /cookies/{cid}/rules
PUT /cookies/{cid}/rules/order
PUT /cookies/{cid}/deliveries
POST /cookies/{cid}/deliveries/file
PATCH /cookies/{cid}/rules/{rule_id}
DELETE /cookies/{cid}/rules/{rule_id}

## the same, named in the body          u      --- y-- -y- y-- --- r-- r-- y-- r   r   y-- y-- --- y--
PUT /cookies/status
PUT /cookies/batch
POST /apply
DELETE /item-reply/batch *
POST /history/{rev}/undo
POST /history/undo

## owns a shop                          u      --- y-- -y- r-- --- r-- r-- r-- r-- r-- r-- y-- --- r--
PUT /cookies/{cid} *
DELETE /cookies/{cid} *
POST /cookie/{cid}/account-info *
GET /cookies/{cid}/staff

## shares a shop                        u      --- y-- -y- r-- --- r-- r-- r-- t   t   t   t   t   t
PUT /cookies/{cid}/staff/{username}
DELETE /cookies/{cid}/staff/{username}
PUT /staff
"""
TABLE += CHATS
