"""Somebody at a browser who is signed in."""

from tests.webmail.pages.sign_in.conftest import browser, new_browser, parts, signed_in

__all__ = ["browser", "new_browser", "parts", "signed_in"]
