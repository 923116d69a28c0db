"""Decisions as GET /v1/decisions gives them, made up by rules that a model can find out."""

import base64
import datetime
import json
import random

FEATURES = 12
HOUR = 3_600_000
AGO = 200 * HOUR  # when the newest are made, before `now`


def timestamp(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def decision(number, at, offer, features, clicked):
    """One that was shown. `features`: numbers from -1 to 1; `at`: Unix milliseconds."""
    packed = bytes(round(127 * x) & 0xFF for x in features).rstrip(b"\0")
    outcomes = [{"outcome": "OUTCOME_IMPRESSION", "at": timestamp(at + 1_000), "attributed": True}]
    if clicked:
        outcomes.append({"outcome": "OUTCOME_CLICK", "at": timestamp(at + 60_000), "attributed": True})
    return {"decision_id": f"{at:012x}-{number:08x}-1", "decided_at": timestamp(at), "offer_id": offer, "campaign_id": "c",
            "score": 0.1, "price": {"micros": "1000000", "currency": "USD"}, "model": "cpu/seeded-linear@1",
            "candidates": 3, "features": base64.b64encode(packed).decode(), "outcomes": outcomes}


def by_rules(offers, count, now, seed=1):
    """Of each offer another feature decides who clicks: no rule is right for all of them."""
    draw = random.Random(seed)
    out = []
    for number in range(count):
        features = [draw.choice((-0.5, 0, 0.25, 1)) for _ in range(FEATURES)]
        which = draw.randrange(len(offers))
        likely = features[which % FEATURES] > 0
        out.append(decision(number, now - AGO - (count - number) * 1_000, offers[which], features,
                            draw.random() < (0.9 if likely else 0.05)))
    return out


def alike(count, now, seed):
    """A rule for all offers, of which each is there once."""
    draw = random.Random(seed)
    out = []
    for number in range(count):
        features = [draw.choice((0, 1)) for _ in range(FEATURES)]
        out.append(decision(number, now - AGO - (count - number) * 1_000, f"o-{number}", features,
                            (features[0] != features[1]) == (draw.random() < 0.9)))
    return out


def lines(decisions):
    return "".join(json.dumps(one) + "\n" for one in decisions)
