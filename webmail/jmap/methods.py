"""Every method there is, by name. A new file of methods is one line here."""

from collections.abc import Mapping

from webmail.jmap import core_methods
from webmail.jmap.method import Method

_FILES = (core_methods.METHODS,)

METHODS: Mapping[str, Method] = {method.name: method for methods in _FILES for method in methods}
