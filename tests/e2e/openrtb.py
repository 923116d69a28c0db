"""Bid requests to send, and what must hold of every answer to one (OpenRTB 2.6)."""

import re
import uuid
import xml.etree.ElementTree as ElementTree

BANNER, VIDEO = 1, 2  # mtype
NBR_DAILY_CAP, NBR_TIME = "9", "15"
VAST_PROTOCOLS = {"2.0": 2, "3.0": 3, "4.0": 7}  # AdCOM, "Creative Subtypes - Audio/Video"
IMAGES = {"jpg": {"image/jpeg", "image/jpg"}, "png": {"image/png"}}


def banner(impid="1", w=300, h=250, **fields):
    return {"id": impid, "banner": {"format": [{"w": w, "h": h}]}, **fields}


def video(impid="1", **fields):
    return {"id": impid, "video": {"mimes": ["video/mp4"], "protocols": [2, 3], **fields}}


def bid_request(*imps, **fields):
    """A request with time to spare, by default for one banner and without a user."""
    imps = list(imps) or [banner()]
    return {"id": str(uuid.uuid4()), "tmax": 1000, "imp": imps, "site": {"domain": "news.example"}, **fields}


def somebody():
    """A user that nobody has seen."""
    return {"id": str(uuid.uuid4())}


def bids(reply):
    """The bids of an answer; none for a proper no-bid. Anything else is a failure."""
    if reply.status == 204:
        assert re.fullmatch(r"\d+", reply.headers["x-openrtb-nbr"]) and reply.body == b""
        return []
    assert reply.status == 200, reply
    assert reply.headers["content-type"] == "application/json"
    return [bid for seat in reply.json()["seatbid"] for bid in seat["bid"]]


def checked_bids(request, reply):
    """As bids(), having checked that the answer is one to `request`."""
    found = bids(reply)
    if reply.status == 204:
        return found
    response = reply.json()
    currency = response.get("cur", "USD")
    assert found, "an answer without bids is a 204"
    assert response["id"] == request["id"] and response["bidid"]
    assert currency in (request.get("cur") or ["USD"])
    for seat in response["seatbid"]:
        assert seat["seat"] in (request.get("wseat") or [seat["seat"]])
        assert seat["seat"] not in (request.get("bseat") or [])
    for key in ("id", "impid", "adid"):
        values = [bid[key] for bid in found]
        assert len(set(values)) == len(values), f"{key} twice: {values}"
    imps = {imp["id"]: imp for imp in request["imp"]}
    for bid in found:
        check_bid(request, imps[bid["impid"]], bid, currency)
    return found


def check_bid(request, imp, bid, currency):
    assert bid["price"] > 0 and bid["adid"] and bid["cid"] and bid["crid"] and bid["adomain"]
    assert not (imp.get("pmp") or {}).get("private_auction")
    for category in bid["cat"]:
        assert not within(category, request.get("bcat")), f"{category} is blocked"
        assert within(category, request.get("acat") or [category]), f"{category} is not allowed"
    assert not set(bid["adomain"]) & {domain.lower() for domain in request.get("badv") or []}
    links = re.findall(r"\w+://[^\s\"'<\]]+", bid["adm"] + " " + bid.get("iurl", ""))
    assert links and all(link.startswith("https://") for link in links), links
    floor = check_video(imp["video"], bid) if bid["mtype"] == VIDEO else check_banner(imp["banner"], bid)
    if imp.get("bidfloorcur", "USD") == currency:
        assert bid["price"] >= (imp.get("bidfloor") or 0 if floor is None else floor)


def within(category, listed):
    """IAB3-1 is within IAB3."""
    return any(category == one or category.startswith(one + "-") for one in listed or [])


def check_banner(wanted, bid):
    assert bid["mtype"] == BANNER and 2 not in (wanted.get("btype") or []), "btype 2: no XHTML banners"
    sizes = [(size.get("w"), size.get("h")) for size in [*(wanted.get("format") or []), wanted]]
    assert (bid["w"], bid["h"]) in sizes
    assert IMAGES[bid["iurl"].rsplit(".", 1)[1]] & set(wanted.get("mimes") or ["image/jpeg", "image/png"])


def check_video(wanted, bid):
    """The floor for this duration, where the request has one."""
    vast = ElementTree.fromstring(bid["adm"])
    assert vast.tag == "VAST"
    protocols = wanted.get("protocols")
    assert not protocols or VAST_PROTOCOLS[vast.get("version")] in protocols, f"{protocols} but VAST {vast.attrib}"
    hours, minutes, seconds = vast.find(".//Linear/Duration").text.split(":")
    seconds = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    assert seconds == bid["dur"]
    assert (wanted.get("minduration") or 0) <= seconds <= (wanted.get("maxduration") or seconds)
    assert seconds in (wanted.get("rqddurs") or [seconds])
    assert wanted.get("linearity", 1) == 1
    media = vast.find(".//MediaFile")
    assert media.get("type") in wanted["mimes"]
    assert (int(media.get("width")), int(media.get("height"))) == (bid["w"], bid["h"])
    bitrate = int(media.get("bitrate"))
    assert (wanted.get("minbitrate") or 0) <= bitrate <= (wanted.get("maxbitrate") or bitrate)
    for floor in wanted.get("durfloors") or []:
        if floor.get("mindur", 0) <= seconds <= floor.get("maxdur", seconds):
            return floor.get("bidfloor", 0)
    return None
