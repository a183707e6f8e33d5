"""The POP3 door: what a Twisted door says when it speaks POP3."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from mailserver.observability.logs import get_logger, new_connection_id
from mailserver.pop3 import metrics
from mailserver.pop3.config import Pop3Config
from mailserver.pop3.conversation import Conversation, Services
from mailserver.pop3.dialogue import Dialogue
from mailserver.pop3.session import Session
from mailserver.pop3.wire import replies
from mailserver.proxy_protocol import Network
from mailserver.tls import ServerCertificate
from mailserver.twisted_door.door import Door
from mailserver.twisted_door.talk import Client, Limits

log = get_logger()


@dataclass(frozen=True, slots=True)
class Listeners:
    """Sockets that listen already: `pop3` for STLS, `pop3s` for TLS from the first octet."""

    pop3: tuple[socket.socket, ...] = ()
    pop3s: tuple[socket.socket, ...] = ()


async def start(
    config: Pop3Config,
    services: Services,
    listeners: Listeners,
    *,
    hostname: str,
    certificate: ServerCertificate | None,
    proxies: Sequence[Network] = (),
) -> Door:
    """Open the door. Twisted's reactor must be installed on the running loop (`asyncioreactor.install`)."""

    def begin(client: Client) -> Dialogue:
        talk = Conversation(
            services=services,
            peer=client.peer,
            log=log.bind(connection=new_connection_id()),
            sign_in_failures_left=config.sign_in_failures,
            is_encrypted=client.is_encrypted,
            can_encrypt=client.can_encrypt,
            sign_out=client.sign_out,
        )
        session = Session(talk, bad_commands=config.bad_commands)
        return Dialogue(session, hostname=hostname, line_octets=config.line_octets)

    door = Door(
        "pop3",
        Limits(
            autologout_s=config.autologout_s,
            sign_in_within_s=config.sign_in_within_s,
            write_timeout_s=config.write_timeout_s,
            connections=config.connections,
            connections_per_network=config.connections_per_network,
            buffered_octets=config.buffered_octets,
            strangers=config.connections_before_sign_in,
        ),
        metrics.DOOR,
        begin=begin,
        turned_away=lambda reason: replies.error(reason, replies.Code.SYSTEM_TEMPORARY),
        certificate=certificate,
        proxies=proxies,
    )
    door.listen(listeners.pop3, is_tls=False)
    door.listen(listeners.pop3s, is_tls=True)
    return door
