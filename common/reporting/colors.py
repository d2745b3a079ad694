"""A colour for each class, of twelve that can be told apart, by colour-blind eyes too.

They were searched for so that the least distance of two in CIELAB is greatest, for normal vision and under simulated
protanopia, deuteranopia and tritanopia (Machado, Oliveira & Fernandes 2009, severity 1): 17 among all twelve, 27 among
those of IEMOCAP, of MELD and of sentiment. They are fills beside words, with an outline, and never the ink of a text.
"""

from collections.abc import Sequence
from itertools import chain, cycle

PALETTE = {
    "yellow": "#fad90d",
    "blue": "#0d51e5",
    "grey": "#afb7ae",
    "red": "#c71b0b",
    "sky": "#74d3f7",
    "purple": "#422859",
    "green": "#5aa45a",
    "orange": "#f3a049",
    "brown": "#6c4236",
    "teal": "#28736a",
    "pink": "#d24ebc",
    "navy": "#27177a",
}
EMOTIONS = {
    "yellow": "joy happy happiness hap",
    "blue": "sadness sad",
    "grey": "neutral neu",
    "red": "anger angry ang negative",
    "sky": "surprise surprised",
    "purple": "fear fearful",
    "green": "disgust disgusted",
    "orange": "excited excitement exc",
    "brown": "frustrated frustration fru",
    "teal": "positive",
}


def emotion_colors(classes: Sequence[str]) -> list[str]:
    """A colour "#rrggbb" for each of `classes`, names of emotions.

    Known emotions (in any case) have colours of their own, the same in every report; the first of two that share one
    has it. Others get what is left, in order. From the thirteenth class on colours come again.
    """
    known = {word: hue for hue, words in EMOTIONS.items() for word in words.split()}
    wanted = [known.get(name.strip().lower()) for name in classes]
    kept = [hue if hue not in wanted[:k] else None for k, hue in enumerate(wanted)]
    unused = [hue for hue in PALETTE if hue not in kept]
    others = chain(unused, cycle(PALETTE))
    return [PALETTE[hue or next(others)] for hue in kept]
