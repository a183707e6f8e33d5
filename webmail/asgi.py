"""The ASGI application of the web role: what needs no Django stands before it, all else is Django's.

`build` is called once in each process. Django's views find the parts of the process in
`request.scope["waypost.parts"]`.
"""

import os
from typing import cast

from mailserver.assembly import Parts
from mailserver.web import Application, Message, Receive, Send
from webmail.jmap.http.application import is_ours, open_door
from webmail.message_html import door as message_html
from webmail.posted_bodies import answer_with_body

PARTS = "waypost.parts"


def build(parts: Parts) -> Application:
    """Everything the web role answers. Django speaks to the directory as the database role waypost_app."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")
    os.environ.setdefault("WAYPOST_DATABASE_ROLE", "app")
    from django.core.asgi import get_asgi_application  # it reads the settings

    jmap, pages = open_door(parts), cast(Application, get_asgi_application())
    messages = message_html.open_door(parts)

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" or is_ours(scope.get("path", "")):
            await jmap(scope, receive, send)
        elif scope["type"] == "http" and message_html.is_ours(scope["path"]):
            await messages(scope, receive, send)
        else:
            await answer_with_body(pages, {**scope, PARTS: parts}, receive, send)

    return application
