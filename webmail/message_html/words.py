"""What documents of messages say by themselves, in English and Simplified Chinese."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """`quoted` takes the number of lines."""

    tag: str
    quoted: str
    cut: str
    empty: str
    image: str


ENGLISH = Words(
    tag="en",
    quoted="Quoted text (lines: {})",
    cut="This message is too long to be shown whole. Download it to read the rest.",
    empty="This message has no text.",
    image="Image",
)
CHINESE = Words(
    tag="zh-Hans",
    quoted="引用的内容（{} 行）",
    cut="邮件太长，此处只显示了开头。请下载邮件以阅读其余内容。",
    empty="此邮件没有正文。",
    image="图片",
)


def words_for(language: str) -> Words:
    """`language` is a person's, a BCP 47 tag."""
    return CHINESE if language.lower().startswith("zh") else ENGLISH
