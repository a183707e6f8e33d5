"""Every method there is, by name. A new file of methods is one line here."""

from collections.abc import Mapping

from webmail.jmap import (
    blob_methods,
    core_methods,
    email_get_methods,
    email_query_methods,
    email_set_methods,
    identity_methods,
    mailbox_methods,
    mailbox_query_methods,
    mailbox_set_methods,
    mdn_methods,
    push_methods,
    quota_methods,
    snippet_methods,
    submission_methods,
    thread_methods,
    vacation_methods,
)
from webmail.jmap.method import Method

_FILES = (
    core_methods.METHODS,
    blob_methods.METHODS,
    quota_methods.METHODS,
    mailbox_methods.METHODS,
    mailbox_query_methods.METHODS,
    push_methods.METHODS,
    mailbox_set_methods.METHODS,
    thread_methods.METHODS,
    email_get_methods.METHODS,
    email_set_methods.METHODS,
    email_query_methods.METHODS,
    snippet_methods.METHODS,
    identity_methods.METHODS,
    submission_methods.METHODS,
    vacation_methods.METHODS,
    mdn_methods.METHODS,
)

METHODS: Mapping[str, Method] = {method.name: method for methods in _FILES for method in methods}
