"""The site's protocol: cookies, signed HTTP calls and the message socket. Independent of our database and API."""
