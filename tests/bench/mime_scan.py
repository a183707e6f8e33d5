"""How long `describe` takes (scan, envelope, bodystructure, columns, preview): µs for typical messages.

    python -m tests.bench.mime_scan [--repeats 30] [--profile NAME]

The least of several repeats is printed, which other loads on the machine disturb least. The aims of the project: 150 µs
for a plain message of 4 KB, 1,000 µs for 100 KB in five parts.
"""

import argparse
import base64
import cProfile
import pstats
import random
import timeit
from functools import partial

from mailserver.mime.description import describe
from mailserver.mime.structure import pack, scan, unpack

_WORDS = tuple(
    "the of and to in a is that for it meeting report invoice project schedule customer order shipping payment contract"  # noqa: SIM905
    " release server update budget review please thanks regards attached document question tomorrow quarter".split()
)
_ZH = "我们今天的会议报告项目合同客户订单发票付款请查收谢谢您好问题解决方案时间北京上海公司部门经理工程师测试开发"


def _lines(rng: random.Random, octets: int) -> str:
    out, total = [], 0
    while total < octets:
        line = " ".join(rng.choices(_WORDS, k=11))
        out.append(line)
        total += len(line) + 2
    return "\r\n".join(out) + "\r\n"


def _header(rng: random.Random, subject: str, sender: str) -> str:
    token = base64.b64encode(rng.randbytes(150)).decode()
    return (
        "Return-Path: <alice@corp.test>\r\n"
        "Received: from mx1.corp.test (mx1.corp.test [192.0.2.10])\r\n\tby mx.example.test (Postfix) with ESMTPS\r\n"
        "\tfor <bob@example.test>; Tue, 14 Nov 2023 22:13:20 +0000\r\n"
        "Received: from localhost (localhost [127.0.0.1])\r\n\tby mx1.corp.test (Postfix) with ESMTP id 00000004A5;\r\n"
        "\tTue, 14 Nov 2023 22:13:20 +0000\r\n"
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=corp.test; s=s1;\r\n"
        "\th=from:to:subject:date:message-id;\r\n"
        f"\tb={token[:70]}\r\n\t {token[70:140]}\r\n\t {token[140:]}\r\n"
        f"From: {sender}\r\nTo: bob@example.test\r\n"
        "Cc: Carol <carol@corp.test>,\r\n Dave <dave@shop.test>,\r\n Erin <erin@news.test>\r\n"
        f"Subject: {subject}\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1.42.0badcafe@corp.test>\r\n"
        "In-Reply-To: <1.41.0badcafe@corp.test>\r\n"
        "References: <1.38.0badcafe@corp.test>\r\n <1.40.0badcafe@corp.test>\r\n <1.41.0badcafe@corp.test>\r\n"
        "MIME-Version: 1.0\r\nX-Mailer: waypost bench\r\n"
    )


def _base64(octets: bytes) -> str:
    return base64.encodebytes(octets).decode().replace("\n", "\r\n")


def _alternative(rng: random.Random, boundary: str, octets: int) -> str:
    text = _lines(rng, octets // 2)
    html = '<html><body><p style=3D"margin:0">' + text.replace("\r\n", "<br>\r\n") + "</p></body></html>\r\n"
    return (
        f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{text}\r\n"
        f"--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        f"{html}\r\n--{boundary}--\r\n"
    )


def plain() -> bytes:
    rng = random.Random(1)
    header = _header(rng, "Re: budget review for the quarter", "Alice Payment <alice@corp.test>")
    body = "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    return (header + body + _lines(rng, 4096 - len(header) - len(body))).encode()


def alternative() -> bytes:
    rng = random.Random(2)
    header = _header(rng, "Re: budget review for the quarter", "Alice Payment <alice@corp.test>")
    return (
        header + 'Content-Type: multipart/alternative; boundary="=_alt_0000002a"\r\n\r\n'
        + _alternative(rng, "=_alt_0000002a", 4096 - len(header))
    ).encode()  # fmt: skip


def chinese() -> bytes:
    rng = random.Random(3)
    words = "\r\n ".join(
        "=?GB18030?B?" + base64.b64encode("".join(rng.choices(_ZH, k=10)).encode("gb18030")).decode() + "?="
        for _ in range(2)
    )
    sender = "=?GB18030?B?" + base64.b64encode("张三".encode("gb18030")).decode() + "?= <zhang@corp.test>"
    header = _header(rng, "Re: " + words, sender)
    body = "".join(rng.choices(_ZH + "。\r\n", k=800)).encode("gb18030")
    return (
        header
        + "Content-Type: text/plain; charset=gb18030\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + _base64(body)
    ).encode()


def five_parts() -> bytes:
    rng = random.Random(4)
    out = [_header(rng, "Re: budget review for the quarter", "Alice Payment <alice@corp.test>")]
    out.append('Content-Type: multipart/mixed; boundary="=_mix_0000002a"\r\n\r\n')
    out.append('--=_mix_0000002a\r\nContent-Type: multipart/alternative; boundary="=_alt_0000002a"\r\n\r\n')
    out.append(_alternative(rng, "=_alt_0000002a", 12_000))
    for name, kind, octets in (
        ("report.pdf", "application/pdf", 40_000),
        ("=?GB18030?B?uai4uLXExeQ=?=.docx", "application/msword", 15_000),
        ("photo.jpg", "image/jpeg", 8_000),
    ):
        out.append(
            f'\r\n--=_mix_0000002a\r\nContent-Type: {kind}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="{name}"\r\n\r\n' + _base64(rng.randbytes(octets))
        )
    out.append("\r\n--=_mix_0000002a--\r\n")
    return "".join(out).encode()


MESSAGES = {"plain": plain, "alternative": alternative, "chinese": chinese, "five parts": five_parts}


def _least_us(statement: "timeit.Timer", repeats: int) -> float:
    number = 200
    return min(statement.repeat(repeat=repeats, number=number)) / number * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30, help="take the least of this many runs of 200 calls")
    parser.add_argument("--profile", choices=list(MESSAGES), help="print where the time goes for one message instead")
    options = parser.parse_args()
    if options.profile:
        message = MESSAGES[options.profile]()
        profile = cProfile.Profile()
        profile.enable()
        for _ in range(2000):
            describe(message)
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
        return
    print(f"{'message':<14}{'octets':>9}{'describe µs':>14}{'scan µs':>10}{'index octets':>14}{'unpack µs':>11}")
    for name, build in MESSAGES.items():
        message = build()
        packed = pack(scan(message))
        described = _least_us(timeit.Timer(partial(describe, message)), options.repeats)
        scanned = _least_us(timeit.Timer(partial(scan, message)), options.repeats)
        unpacked = _least_us(timeit.Timer(partial(unpack, packed)), options.repeats)
        print(f"{name:<14}{len(message):>9}{described:>14.1f}{scanned:>10.1f}{len(packed):>14}{unpacked:>11.1f}")


if __name__ == "__main__":
    main()
