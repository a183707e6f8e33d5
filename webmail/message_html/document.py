"""A message as a document of its own, with the headers that make it harmless whatever it holds. Pure.

The sanitiser is the first wall, these headers the second: without an origin (`sandbox`) it reaches nothing of ours, it
runs nothing, sends no form, loads nothing but images from our own path for them, and tells nobody where it was read.
"""

from collections.abc import Sequence
from html import escape

from webmail.message_html.sanitise import VERSION, Sanitised
from webmail.message_html.words import Words

# What is `!important` in a layer stands above all that is in none (CSS Cascade 5 §6.4.4): no sheet of the message hides
# the note at a link.
_STYLE = (
    "html{background:#fff;color:#1b1b1b;color-scheme:light}"
    "body{margin:0;overflow-wrap:break-word;"
    "font:15px/1.55 system-ui,-apple-system,'Segoe UI','PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif}"
    "img{max-width:100%;object-fit:contain}"
    "img:not([src]){font:12px/1.3 system-ui,sans-serif!important;color:#667;"
    "background:#f1f3f6;outline:1px dashed #c5cad3}"
    "table{font-size:inherit;color:inherit;line-height:inherit}"
    ".waypost-part>div,.waypost-note{padding:12px}"
    ".waypost-lines{white-space:pre-wrap}"
    ".waypost-quote{margin:4px 0;padding:0 0 0 12px;border-left:2px solid;color:#444}"
    ".waypost-quote-0{border-color:#2f6fb3}.waypost-quote-1{border-color:#3c8a5a}"
    ".waypost-quote-2{border-color:#a8672a}.waypost-quote-3{border-color:#7a4fa3}"
    "summary{cursor:pointer;color:#666;font-size:13px}"
    "@layer waypost{.waypost-elsewhere{all:revert!important;font:12px/1.4 system-ui,sans-serif!important;"
    "color:#8a4b00!important;background:#fff4e0!important;border-radius:3px!important;padding:0 4px!important}}"
    ".waypost-note{margin:0;font-size:13px;color:#666}"
)


def document(parts: Sequence[Sanitised], words: Words, *, is_cut: bool) -> str:
    """`parts` one after the other."""
    css = "\n".join(part.css for part in parts if part.css)
    shown = "".join(f'<div class="waypost-part">{part.html}</div>' for part in parts)
    if not parts:
        shown = f'<p class="waypost-note">{escape(words.empty)}</p>'
    if is_cut:
        shown += f'<p class="waypost-note">{escape(words.cut)}</p>'
    return (
        f'<!DOCTYPE html><html lang="{words.tag}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="generator" content="Waypost message {VERSION}">'
        f"<title></title><style>{_STYLE}</style>"
        + (f"<style>{css}</style>" if css else "")
        + f"</head><body>{shown}</body></html>"
    )


def headers(*, origin: str) -> tuple[tuple[str, str], ...]:
    """`origin` is ours, as the browser knows it. (`'self'` would mean nothing to a document without an origin.)"""
    policy = (
        "sandbox allow-popups allow-popups-to-escape-sandbox",
        "default-src 'none'",
        f"img-src {origin}/image/",
        "style-src 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
    return (
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", "; ".join(policy)),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "SAMEORIGIN"),
        ("x-dns-prefetch-control", "off"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        ("vary", "cookie, authorization"),
    )
