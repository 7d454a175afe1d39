"""Settings of what a generator is told of an utterance beside its frames: a text, a speaker."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from engram_audio.quantities import Count, Frames, InnerShare, distinct
from engram_audio.section import Section


def _once(alphabet: str) -> str:
    """Refuse an alphabet that holds a character twice."""
    distinct(tuple(alphabet))
    return alphabet


Alphabet = Annotated[
    str, StringConstraints(min_length=2, max_length=512, pattern=r"\S"), AfterValidator(_once)
]


class TextSection(Section):
    """The characters of the transcript."""

    alphabet: Alphabet = Field(
        description="Characters that have a symbol each. All others share one more."
    )
    maximum_characters: Count = Field(
        le=4096, description="Longest transcript; a longer one is refused."
    )

    @property
    def num_symbols(self) -> int:
        """Characters of the alphabet, and one for all others."""
        return len(self.alphabet) + 1


class ConditionSection(Section):
    """What stands before the frames of an utterance, where all of them see it."""

    text: TextSection | None = Field(description="null: no text.")
    prompt_frames: Frames | None = Field(
        description="First frames of another utterance of the speaker, which carry no loss. null: "
        "no speaker prompt."
    )
    drop_share: InnerShare = Field(
        description="Share of train chunks without text and prompt. The law without them is that "
        "of free runs, and the one that guidance goes away from. Of the other chunks with a text "
        "the same share has no prompt: continuations are told that way."
    )

    @model_validator(mode="after")
    def _check_any(self) -> Self:
        if self.text is None and self.prompt_frames is None:
            raise ValueError(
                "condition: has neither text nor prompt_frames; name one, or write null"
            )
        return self

    @property
    def text_length(self) -> int:
        """Positions of the longest text."""
        return 0 if self.text is None else self.text.maximum_characters

    @property
    def prefix_length(self) -> int:
        """Positions before the first frame: those of the text, then those of the prompt."""
        return self.text_length + (self.prompt_frames or 0)
