"""Who may call the routes of the work on chats: a part of the table of ``authorisation_table.py``."""

from __future__ import annotations

CHATS = """
## reads a shop                         u      --- y-- -y- y-- --- y-- y-- y-- y-- y-- y-- y-- --- y--
GET /quick-replies
GET /cookies/{cid}/chats/{chat}/work
PUT /cookies/{cid}/chats/{chat}/seen
GET /cookies/{cid}/chats/{chat}/notes
GET /cookies/{cid}/items/{item_id}/card

## replies for a shop                   u      --- y-- -y- y-- --- r-- y-- y-- r-- y-- y-- y-- --- y--
PUT /cookies/{cid}/chats/{chat}/work
POST /cookies/{cid}/chats/{chat}/notes
DELETE /cookies/{cid}/chats/{chat}/notes/{note_id}

## operates a shop, named in the body   u      --- y-- -y- y-- --- r-- r-- y-- r   r   y-- y-- --- y--
POST /quick-replies

## changes a quick reply of a shop      u      --- y-- -y- y-- --- --- --- y-- r   r   y-- y-- --- y--
PUT /quick-replies/{reply_id}
DELETE /quick-replies/{reply_id}
"""
