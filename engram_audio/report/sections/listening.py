"""Original and round trip, to hear and to see."""

import re
from collections.abc import Mapping
from typing import Any

from engram_audio.maps import as_map
from engram_audio.report.data import ReportData
from engram_audio.report.figure import content_id
from engram_audio.report.section_spec import SectionSpec
from engram_audio.verdicts import number

MAXIMUM_MEDIA_BYTES = 2_000_000  # of a page that stays below 6 MB
ROUND_TRIP = (("original", "Original"), ("decoded", "Round trip"))
DATA_URI = re.compile(
    r"data:(audio/(?:flac|x-flac|wav|ogg|mpeg|mp4)|image/(?:png|webp|jpeg));base64,[A-Za-z0-9+/]+={0,2}"
)


def build(data: ReportData) -> dict[str, Any]:
    """Gather players until the media budget is spent, in turn over representations."""
    groups: dict[str, list[dict[str, Any]]] = {name: [] for name in sorted(data.players)}
    spent, left_out = 0, 0
    first: dict[str, str] = {}  # id of the sound that holds a recording
    longest = max((len(examples) for examples in data.players.values()), default=0)
    for place in range(longest):
        for name in groups:
            if place >= len(data.players[name]):
                continue
            card = make_card(name, data.players[name][place], place, first)
            size = sum(len(sound["audio"]) + len(sound["image"]) for sound in card["sounds"])
            if spent + size > MAXIMUM_MEDIA_BYTES:
                left_out += 1
                continue
            spent += size
            for sound in card["sounds"]:
                first.setdefault(sound["audio"], sound["id"])
            groups[name].append(card)
    return {
        "groups": [
            {"name": name, "title": title(name), "cards": cards}
            for name, cards in groups.items()
            if cards
        ],
        "left_out": left_out,
        "unavailable": sorted(set(data.base_representations()) - set(data.players)),
    }


def title(name: str) -> str:
    """Return a group's heading: a representation, what factorised it or what ran it free."""
    representation, *how = name.split(".")
    if how[:1] == ["rollout"]:
        return f"{representation}, running free by {'.'.join(how[1:])}"
    return f"{representation}, factorised by {how[0]}" if how else representation


def make_card(
    representation: str, example: dict[str, Any], place: int, first: Mapping[str, str]
) -> dict[str, Any]:
    """Return one player; media that are no plain data URI are left away.

    Args:
        representation: Name of its group.
        example: The example as published.
        place: Its number in the group.
        first: Id of the sound that holds a recording already. It is embedded once.
    """
    identity = content_id("player", representation, place)
    sounds = [
        _sound(f"{identity}-{kind}", label, example, kind, first)
        for kind, label in example.get("kinds", ROUND_TRIP)
    ]
    return {
        "id": identity,
        "utterance": str(example.get("utterance_id", "")),
        "speaker": str(example.get("speaker_id", "")),
        "transcript": str(example.get("transcript") or ""),
        "distance": number.fixed(example.get("log_mel_l1"), 2),
        "sounds": sounds,
    }


def _sound(
    identity: str, label: str, example: dict[str, Any], kind: str, first: Mapping[str, str]
) -> dict[str, str]:
    audio, image = media(example.get(kind)), media(example.get(f"{kind}_picture"))
    same = first.get(audio, "") if audio else ""
    if same:
        audio = image = ""
    return {"id": identity, "label": label, "audio": audio, "image": image, "same": same}


def media(embedded: Any) -> str:
    """Return a data URI of embedded audio or of a raster image; nothing for anything else."""
    found = as_map(embedded)
    uri = f"data:{found.get('media_type')};base64,{found.get('base64')}"
    return uri if DATA_URI.fullmatch(uri) else ""


SECTION = SectionSpec(
    name="listening",
    place=120,
    title="Listen: original, round trip, factorised, running free",
    lead=(
        "Each group is an eval utterance and another version of it, with log-mel spectrograms. The "
        "version is decoded, made of factorised parts, or run free after its first third. Space "
        "plays, and the arrow keys switch between versions at the same moment. One plays at a time."
    ),
    needs=(),
    build=build,
)
