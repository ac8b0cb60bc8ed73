"""A model beside the primary whose points are gone within minutes, so that a campaign sees time at work."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from deploy.local.paths import ROOT

MODEL = "fading"


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the fading model gives, in points and seconds; `download_first` is the order of its rules, by which a lead
    that was not folded again would be seen.
    """

    view: int
    window_s: int
    download: int
    half_life_s: int
    often: int
    download_first: bool


BEFORE, AFTER = Numbers(4, 90, 8, 20, 6, download_first=False), Numbers(7, 60, 5, 30, 3, download_first=True)
WATCH = (500, 1_000)
EVERY_S, SILENCE = 60, 1
MANY, WITHIN_S = 3, 45


def model_of(numbers: Numbers) -> dict[str, Any]:
    """The model as a file says it: windows, half-lives, cells and silence, all of them over in minutes."""
    view = {"id": "view", "activity": "page_viewed", "points": numbers.view, "repeat": "every"}
    view["decay"] = {"window": f"{numbers.window_s}s"}
    fresh = {"at_least": MANY, "within": f"{WITHIN_S}s", "points": numbers.often}
    download = {"id": "download", "activity": "document_downloaded", "points": numbers.download, "repeat": "every"}
    download["decay"] = {"half_life": f"{numbers.half_life_s}s"}
    return {
        "model": MODEL,
        "watch": [mark // 100 for mark in WATCH],
        "engagement": {
            "min": 0,
            "inactivity": {"every": f"{EVERY_S}s", "points": -SILENCE, "floor": 0},
            "rules": [
                *((download, view) if numbers.download_first else (view, download)),
                {"id": "often", "activity": "page_viewed", "cells": [fresh]},
            ],
        },
    }


def campaign_config(folder: Path) -> Path:
    """The shipped configuration with the fading model beside the primary."""
    chosen = folder / "config"
    if not chosen.exists():
        shutil.copytree(ROOT / "config", chosen)
        (chosen / "models").mkdir(exist_ok=True)
        (chosen / "models" / "fading.json").write_bytes(orjson.dumps(model_of(BEFORE)))
    return chosen
