"""The service: recordings and live audio over HTTP and WebSocket, and the page that uses it."""
