"""Pages of other origins (the Fetch standard's CORS): they may ask with credentials that they name themselves, a token
or a password; a cookie is never theirs to use.
"""

ANY_ORIGIN = (("access-control-allow-origin", "*"), ("vary", "origin"))
"""On every answer. With `*` a browser neither sends cookies along nor shows what came of them."""

EXPOSED = (
    ("access-control-expose-headers", "content-disposition, content-range, etag, retry-after, www-authenticate"),
)

PREFLIGHT = (
    ("access-control-allow-methods", "GET, HEAD, POST, OPTIONS"),
    ("access-control-allow-headers", "authorization, content-type, if-none-match, if-range, range, last-event-id"),
    ("access-control-max-age", "86400"),
)
