"""The site's protocol: cookies, signed HTTP calls and the message socket. Knows nothing of our database or API."""
