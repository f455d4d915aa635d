"""The web console's server side: page, login, help, and the WebSocket for live updates."""
