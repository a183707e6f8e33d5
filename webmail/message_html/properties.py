"""Properties of CSS that a message may set, and what may stand in their values."""

_SIDES = ("", "-top", "-right", "-bottom", "-left")
_OTHERS = (
    "align-content align-items align-self background background-clip background-color background-image "
    "background-origin background-position background-repeat background-size border-collapse border-radius "
    "border-top-left-radius border-top-right-radius border-bottom-left-radius border-bottom-right-radius "
    "border-spacing box-shadow box-sizing caption-side clear color column-gap direction display empty-cells flex "
    "flex-basis flex-direction flex-flow flex-grow flex-shrink flex-wrap float font font-family font-size "
    "font-size-adjust font-stretch font-style font-variant font-weight gap height hyphens justify-content "
    "justify-items letter-spacing line-break line-height list-style list-style-position list-style-type max-height "
    "max-width min-height min-width object-fit opacity order orphans outline outline-color outline-offset "
    "outline-style outline-width overflow overflow-wrap overflow-x overflow-y page-break-after page-break-before "
    "page-break-inside position row-gap tab-size table-layout text-align text-align-last text-decoration "
    "text-decoration-color text-decoration-line text-decoration-style text-indent text-justify text-overflow "
    "text-shadow text-size-adjust text-transform text-underline-position unicode-bidi vertical-align visibility "
    "white-space widows width word-break word-spacing word-wrap writing-mode -webkit-text-size-adjust "
    "-ms-text-size-adjust"
)
PROPERTIES = frozenset(
    [
        *_OTHERS.split(),
        *(f"margin{side}" for side in _SIDES),
        *(f"padding{side}" for side in _SIDES),
        *(f"border{side}{what}" for side in _SIDES for what in ("", "-color", "-style", "-width")),
    ]
)
WITH_STRINGS = frozenset({"font", "font-family"})
FUNCTIONS = frozenset({"rgb", "rgba", "hsl", "hsla", "calc", "linear-gradient", "radial-gradient"})
POSITIONS = frozenset({"static", "relative"})
