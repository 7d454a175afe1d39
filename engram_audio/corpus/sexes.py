"""How people write a speaker's sex: F, M or unknown."""

FEMALE, MALE, UNKNOWN = "F", "M", "unknown"
SPELLINGS = {
    FEMALE: {"f", "female", "feminine", "femalefeminine", "woman", "girl"},
    MALE: {"m", "male", "masculine", "malemasculine", "man", "boy"},
    UNKNOWN: {
        "", "unknown", "unk", "u", "x", "o", "other", "none", "null", "nan", "na", "n/a", "?",
        "diverse", "intersex", "transgender", "nonbinary", "donotwishtosay", "notspecified",
        "undefined", "unspecified",
    },
}  # fmt: skip
_SEX_OF = {spelling: sex for sex, spellings in SPELLINGS.items() for spelling in spellings}
_JOINS = str.maketrans("", "", " _-.\"'()\ufeff\xa0\t")


def sex_of(text: str) -> str | None:
    """Return F, M or unknown, or None for a text that is no known spelling of them.

    Case, blanks and what joins words do not count: `Female`, `F `, and Common Voice's
    `female_feminine` are F. Common Voice's `do_not_wish_to_say` is unknown.
    """
    return _SEX_OF.get(text.casefold().translate(_JOINS))


def unread_sex(text: str) -> str:
    """Return the detail of a note about a text that is no known spelling."""
    return f"{text.strip()[:40]!r} is read as unknown; write F, M or unknown"
