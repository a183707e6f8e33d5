"""What HTML of a message may be shown: elements, their attributes, and what becomes of the contents of the others.

No element is here whose content an HTML parser reads by other rules (style, script, textarea, title, xmp, iframe,
noscript, template, select, svg, math …): what is written out is read again in the same way.
"""

_PLAIN = (
    "abbr address article aside bdi bdo big blockquote br caption center cite code col colgroup dd del details dfn dir "
    "div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i ins kbd li main mark menu nav nobr ol p "
    "pre q rp rt ruby s samp section small span strike strong sub summary sup table tbody td tfoot th thead time tr tt "
    "u ul var wbr b"
)
TAGS = frozenset({*_PLAIN.split(), "a", "area", "img", "map"})

FORMATTING = frozenset({"b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"})
"""Elements that a parser opens again by itself after the block they stood in was closed (HTML §13.2.4.3)."""

VOID = frozenset({"area", "br", "col", "hr", "img", "wbr"})

_WITH_CONTENT_GONE = (
    "script style title noscript noembed noframes template svg math iframe frameset object embed applet audio video "
    "canvas textarea select datalist xmp plaintext"
)
WITHOUT_CONTENT = frozenset(_WITH_CONTENT_GONE.split())
"""Elements that go with all they hold. Of any other element that is not allowed the content stays."""

EVERYWHERE = frozenset({"style", "class", "id", "title", "dir", "lang", "align", "valign", "width", "height"})

_CELL = frozenset({"colspan", "rowspan", "bgcolor", "background", "nowrap"})
OF_TAGS = {
    "a": frozenset({"href", "name"}),
    "area": frozenset({"href", "shape", "coords", "alt"}),
    "img": frozenset({"src", "alt", "border", "hspace", "vspace", "usemap"}),
    "map": frozenset({"name"}),
    "font": frozenset({"color", "face", "size"}),
    "table": frozenset({"border", "cellpadding", "cellspacing", "bgcolor", "bordercolor", "background", "rules"}),
    "tr": frozenset({"bgcolor", "background"}),
    "tbody": frozenset({"bgcolor"}),
    "td": _CELL,
    "th": _CELL,
    "col": frozenset({"span"}),
    "colgroup": frozenset({"span"}),
    "ol": frozenset({"start", "type"}),
    "ul": frozenset({"type"}),
    "li": frozenset({"value", "type"}),
    "hr": frozenset({"size", "noshade", "color"}),
    "br": frozenset({"clear"}),
    "details": frozenset({"open"}),
}
