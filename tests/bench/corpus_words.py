"""The words that the corpus is made of (`corpus_words.toml`), and how often each is used."""

import random
import tomllib
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

_WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
ENGLISH: list[str] = _WORDS["english"].split()
CHINESE: list[str] = _WORDS["chinese"].split()
CHINESE_CHARACTERS: list[str] = _WORDS["chinese_characters"].split()
JAPANESE: list[str] = _WORDS["japanese"].split()
FIRST_NAMES: list[str] = _WORDS["first_names"].split()
SYLLABLES: list[str] = _WORDS["syllables"].split()
DOMAINS = ("example.test", "mail.example.test", "corp.test", "lists.test", "shop.test", "news.test")


class Zipf:
    """Words by rank: the first ones are used far more often (weight 1 / rank ** exponent)."""

    def __init__(self, words: list[str], exponent: float = 1.05) -> None:
        self.words = words
        self._cumulative = list(accumulate(1.0 / (rank + 1) ** exponent for rank in range(len(words))))

    def pick(self, rng: random.Random, count: int) -> list[str]:
        return rng.choices(self.words, cum_weights=self._cumulative, k=count)


def grown(
    words: list[str], size: int, pieces: Sequence[str], lengths: tuple[int, int], rng: random.Random
) -> list[str]:
    """The words, and made-up ones behind them until there are `size`."""
    result, seen = list(words), set(words)
    while len(result) < size:
        word = "".join(rng.choices(pieces, k=rng.randint(*lengths)))
        if word not in seen:
            seen.add(word)
            result.append(word)
    return result
