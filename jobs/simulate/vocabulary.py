"""The texts behind the codes of a block: fixed words, and the names of its users, orders and things."""

import numpy as np
import orjson
import pyarrow as pa

from jobs.simulate import words
from jobs.simulate.catalogue import Catalogue
from jobs.simulate.columns import NONE, Columns, Ints, height
from jobs.simulate.entities import WITHDRAWN
from jobs.simulate.identity import numbered
from jobs.simulate.people import People

NEW_APP = len(words.APP_VERSIONS)  # the version that says another thing under an old id
COUPONS, GROUPS = 50, 10_000


def _json(texts: list[object]) -> pa.Array:
    return pa.array([orjson.dumps(text).decode() for text in texts], pa.string())


FIXED = {
    **{name: pa.array(texts, pa.string()) for name, texts in {
        "view": words.VIEW_KINDS, "like": words.LIKE_KINDS, "order_kind": words.ORDER_KINDS,
        "user_kind": ("registered", "updated"), "video_kind": ("published", "updated"),
        "product_kind": ("listed", "updated"), "merchant_kind": ("opened", "updated"), "scene": words.SCENES,
        "source": words.SOURCES, "campaign": (words.CAMPAIGN,),
        "app": (*words.APP_VERSIONS, "9.0.0"), "region": words.REGIONS, "share_channel": words.SHARE_CHANNELS,
        "pay": words.PAYMENTS, "tier": words.TIERS, "member": words.MEMBERS, "channel": words.CHANNELS,
        "category": words.CATEGORIES, "theme": words.THEMES, "content": words.CONTENT_KINDS, "brand": words.BRANDS,
        "size": words.SIZES,
    }.items()},
    "query": _json(list(words.QUERIES)),
    "feature": _json([["ar_try_on"]]),
    "arm": _json([{words.EXPERIMENT: arm} for arm in words.ARMS]),
    "consent": _json([[c for bit, c in enumerate(words.CONSENTS) if code >> bit & 1] for code in range(8)]),
    "tag": _json([[tag, words.TAGS[(place + 3) % len(words.TAGS)]] for place, tag in enumerate(words.TAGS)]),
    "video_text": _json([f"{theme.replace('_', ' no. ')}: \"look\" 👀 at this" for theme in words.THEMES]),
    "product_text": _json([f"A fine thing for {category}\nwith care" for category in words.CATEGORIES]),
    "coupon": numbered("k", 0, COUPONS),
    "group_buy": numbered("g", 0, GROUPS),
}  # fmt: skip


def catalogue_words(catalogue: Catalogue) -> dict[str, pa.Array]:
    """The names of the things all blocks share."""
    videos = catalogue.videos
    pairs = sorted({(-1, -1), *zip(videos["product"].tolist(), videos["second_product"].tolist(), strict=True)})
    listed = [[f"p{product:08d}" for product in pair if product >= 0] for pair in pairs]
    return {
        "video": numbered("v", 0, height(videos) + WITHDRAWN),
        "room": numbered("l", 0, height(catalogue.rooms)),
        "product": numbered("p", 0, height(catalogue.products) + WITHDRAWN),
        "merchant": numbered("m", 0, height(catalogue.merchants)),
        "creator": numbered("c", 0, max(height(catalogue.creators), 2 * height(catalogue.merchants))),
        "products": _json(list(listed)),
    }


def product_pairs(catalogue: Catalogue, shown: Columns) -> Ints:
    """The code of each video's list of products in vocabulary `products`."""
    width = 1 << 32

    def packed(videos: Columns) -> Ints:
        codes: Ints = (videos["product"] + 1) * width + videos["second_product"] + 1
        return codes

    return np.searchsorted(np.unique(np.r_[0, packed(catalogue.videos)]), packed(shown))


def people_words(people: People) -> dict[str, pa.Array]:
    """The names of a block's users and devices; a visitor is a user or, after them, a device."""
    users = numbered("u", people.first, people.size)
    devices = numbered("d", 2 * people.first, 2 * people.size)
    return {"user": users, "device": devices, "visitor": pa.concat_arrays([users, devices])}


def coded(codes: Ints, vocabulary: pa.Array) -> pa.DictionaryArray:
    """Codes as texts; `NONE` is null."""
    places = np.asarray(codes, dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(places, mask=places == NONE), vocabulary)
