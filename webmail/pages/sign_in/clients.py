"""What a browser calls itself, in a few words: its name and the system it runs on (pure)."""

import re

# In this order: most claim to be others too.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("MicroMessenger", "WeChat"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrom", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("HarmonyOS", "HarmonyOS"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
LONGEST = 60


def browser_of(client: str) -> str:
    return next((name for sign, name in _BROWSERS if sign in client), "")


def system_of(client: str) -> str:
    return next((name for sign, name in _SYSTEMS if sign in client), "")


def described(client: str, both: str, unknown: str) -> str:
    """`both` says how the two are joined, such as `{browser} on {system}`; programs show their own first word."""
    browser, system = browser_of(client), system_of(client)
    if browser and system:
        return both.format(browser=browser, system=system)
    own = re.split(r"[/\s(]", client.strip(), maxsplit=1)[0][:LONGEST]
    return browser or system or own or unknown
