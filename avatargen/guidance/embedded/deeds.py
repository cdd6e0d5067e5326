"""Whether a sentence says what someone does, and in which of the lexicon's words."""

import re

from avatargen.guidance.embedded import lexicon
from avatargen.guidance.embedded.tokens import (
    ACTION_STEMS,
    GENDERED,
    THINGS,
    Unknown,
    is_known,
    placed,
    stem,
    tokens_of,
    words_of,
)

_SUBJECT = re.compile(
    r"^(?:an? |the )?(?:rendered 3d )?(?:person|man|woman|someone|somebody|figure|character|he|she|they)?"
    r"(?: who)?(?: is)?(?: |$)"
)
_DEED_STEMS = frozenset(stem(word) for word in lexicon.DEEDS)
_SOMEONE = frozenset(("person", "someone", "somebody", "he", "she", "they", "who"))
_NO_ACTIONS = frozenset({"lean", "pointed", "robed", "bow", "fit", "boxers", "stretched", "holding", "held", "dyed"})


def verb_first(text: str) -> bool:
    """Whether a text begins with a verb, or with someone and a verb."""
    first = _SUBJECT.sub("", text).partition(" ")[0]
    return stem(first) in _DEED_STEMS or (stem(first) in ACTION_STEMS and first not in _NO_ACTIONS)


def acts(text: str) -> bool:
    """Whether a text says what someone does."""
    if re.search(r"\bg[eo]t(?:s|ting)? up\b", text) or verb_first(text):
        return True
    return any(stem(word) in ACTION_STEMS and word not in _NO_ACTIONS for word in words_of(text))


def doer(text: str) -> str:
    """`text` without whom someone only acts like: nobody who walks like a zombie wears its rags."""
    before, *after = re.split(r" (?:like|as) ", text, maxsplit=1)
    return before if after and acts(before) else text


def action_text(text: str, unknown: Unknown) -> str:
    """`text` with the verbs that `unknown` knows in words of the lexicon; "" if there is none.

    Only where a verb can stand: first, as a participle that describes nothing, or after someone.
    """
    words, found = words_of(text), False
    places = [place for place, _ in placed(words)]
    tokens = tokens_of(text, unknown)
    for i, token in enumerate(tokens):
        if token.kind != "word" or is_known(token.text):
            continue
        before, after = tokens[i - 1] if i else None, tokens[i + 1] if i + 1 < len(tokens) else None
        describes = after is not None and (after.kind in THINGS or after.text in _SOMEONE)
        someone = before is not None and (
            before.kind in ("outfit", "being") or before.text in _SOMEONE or before.text in GENDERED
        )
        first = i == 0 and (after is None or after.kind in ("article", "break"))
        fits = (token.text.endswith("ing") and not describes) or first or (someone and token.text.endswith("s"))
        verb = unknown(token.text, "verb") if fits else None
        if verb:
            words[places[i][0]], found = verb[1], True
    return " ".join(words) if found else ""
