"""The vocabulary of the simulated world: names, shares and habits, all in one place."""

import numpy as np

CATEGORIES = ("beauty", "fashion", "food", "home", "digital", "sports", "baby", "books", "pets", "travel", "health",
              "games")  # fmt: skip
THEMES_PER_CATEGORY = 5
THEMES = tuple(f"{category}_{i}" for category in CATEGORIES for i in range(THEMES_PER_CATEGORY))
TAGS = ("new", "howto", "unboxing", "daily", "funny", "sale", "local", "slow", "asmr", "review")
BRANDS = tuple(f"brand_{i:02d}" for i in range(40))
CONTENT_KINDS, CONTENT_SHARES = ("PGC", "UGC", "PUGC", "AIGC"), (0.22, 0.5, 0.2, 0.08)

# region, share of people, days a parcel takes beyond the first
REGIONS = ("Guangdong", "Zhejiang", "Jiangsu", "Shanghai", "Beijing", "Sichuan", "Hubei", "Henan", "Shandong", "Yunnan",
           "Heilongjiang", "Xinjiang")  # fmt: skip
REGION_SHARES = (0.16, 0.1, 0.1, 0.06, 0.06, 0.12, 0.08, 0.1, 0.1, 0.05, 0.04, 0.03)
REGION_DAYS = np.array((1.0, 1.0, 1.1, 1.0, 1.3, 1.8, 1.5, 1.6, 1.4, 2.4, 2.6, 3.6))
TIERS, TIER_SHARES = ("tier_1", "new_tier_1", "tier_2", "tier_3", "tier_4", "tier_5"), (0.18, 0.2, 0.2, 0.2, 0.13, 0.09)
TIER_MEANS = np.array((1.5, 1.25, 1.05, 0.9, 0.75, 0.65))  # of the budget
MEMBERS, MEMBER_SHARES = ("none", "plus", "gold", "black"), (0.72, 0.18, 0.08, 0.02)
CHANNELS, CHANNEL_SHARES = ("organic", "app_store", "invite", "ads", "partner"), (0.4, 0.22, 0.16, 0.17, 0.05)
CONSENTS = ("personalisation", "marketing", "sharing")

# generation: share, first and last birth year, hour habit, ease with buying, taste for live rooms
GENERATIONS = ("gen_z", "millennial", "gen_x", "silver")
GENERATION_SHARES = (0.42, 0.31, 0.15, 0.12)
BIRTH_FROM, BIRTH_TO = np.array((1995, 1980, 1967, 1938)), np.array((2010, 1994, 1979, 1966))
BUYING = np.array((0.95, 1.25, 1.05, 0.7))
SCENES = ("short_video", "live", "mall", "search")
SHORT_VIDEO, LIVE, MALL, SEARCH = range(4)
SCENE_SHARES = np.array(  # a row for each generation
    ((0.74, 0.1, 0.08, 0.08), (0.66, 0.12, 0.13, 0.09), (0.64, 0.18, 0.11, 0.07), (0.72, 0.2, 0.05, 0.03))
)
SOURCES = ("recommend", "follow", "social", "search", "paid")
SOURCE_SHARES = (0.7, 0.16, 0.14, 0.0, 0.0)
RECOMMEND, FOLLOW, SOCIAL, SEARCHED, PAID = range(5)

HOURS = np.array((  # commuter, evening, night owl, early riser: weight of each local hour
    (1, 1, 0, 0, 0, 1, 4, 9, 7, 3, 2, 3, 7, 5, 2, 2, 3, 6, 9, 7, 6, 6, 5, 3),
    (2, 1, 0, 0, 0, 0, 1, 2, 2, 2, 2, 3, 4, 3, 2, 2, 3, 4, 6, 9, 12, 12, 9, 5),
    (12, 10, 7, 4, 2, 1, 1, 1, 1, 2, 2, 3, 4, 3, 3, 3, 3, 3, 4, 5, 6, 8, 11, 13),
    (0, 0, 0, 1, 4, 9, 11, 9, 7, 6, 5, 4, 4, 3, 4, 5, 5, 5, 5, 5, 4, 2, 1, 0),
), dtype=np.float64)  # fmt: skip
HABIT_SHARES = np.array(  # a row for each generation
    ((0.3, 0.35, 0.3, 0.05), (0.45, 0.35, 0.12, 0.08), (0.35, 0.35, 0.05, 0.25), (0.1, 0.2, 0.02, 0.68))
)

VIEW_KINDS = ("impression", "play", "product_view", "live_enter", "search")
IMPRESSION, PLAY, PRODUCT_VIEW, LIVE_ENTER, SEARCH_MADE = range(5)
LIKE_KINDS = ("like", "unlike", "favourite", "unfavourite", "comment", "share", "follow", "unfollow", "add_to_cart",
              "remove_from_cart", "not_interested", "report")  # fmt: skip
ORDER_KINDS = ("placed", "paid", "cancelled", "shipped", "delivered", "return_requested", "returned", "refunded",
               "reviewed")  # fmt: skip
PLACED, PAID_ORDER, CANCELLED, SHIPPED, DELIVERED, RETURN_REQUESTED, RETURNED, REFUNDED, REVIEWED = range(9)

SHARE_CHANNELS = ("wechat", "weibo", "link", "message")
PAYMENTS, PAYMENT_SHARES = ("alipay", "wechat_pay", "card", "instalments"), (0.45, 0.4, 0.1, 0.05)
APP_VERSIONS = ("8.1.0", "8.2.0", "8.2.1")
ARMS = ("control", "treatment")
EXPERIMENT, LIFT = "feed_rank", 1.25  # treated people open a product shown to them this much more often
CAMPAIGN, CAMPAIGN_LIFT = "camp_summer_launch", 1.4
# what people type: some of it is odd on purpose, and must stay inert in paths, pages, SQL and logs
QUERIES = ("lipstick", "running shoes", "露营 帐篷", "猫粮", "phone case", "'; DROP TABLE silver.views; --",
           "<script>alert(1)</script>", "😀🎁 gift", "\u202eطلب", "../../etc/passwd", "{{7*7}}", "tea\tset",
           "O'Brien \"best\"", "${jndi:ldap://x}")  # fmt: skip
SIZES, SIZE_SHARES = ("small", "medium", "large"), (0.6, 0.3, 0.1)
