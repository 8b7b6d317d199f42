"""The colours and what each one says; the eight of Okabe and Ito (2008), which colour-blind people tell apart.

State is never told by colour alone: limits are dashed lines with an area, states carry words, values stand in digits.
"""

GOOD = "#009E73"  # bluish green
NOTE = "#56B4E9"  # sky blue: worth knowing
WARN = "#E69F00"  # orange: look into it
BAD = "#D55E00"  # vermillion: act
CALM = "text"  # neither good nor bad: as the theme writes
OTHER = "#CC79A7"  # reddish purple: a further series
MUTED = "#8E8E8E"  # bounds and helpers, readable on dark and light

# Behind white text: the same hues, dark enough for a contrast of 3 or more.
CELL = {GOOD: "#00805D", NOTE: "#0072B2", WARN: "#A87400", BAD: "#C25400"}

# Twelve steps of viridis, from dark to bright: an order that colour-blind people see as well. Its first seventh is left
# out, which a dark background swallows.
RAMP = (
    "#463480", "#3B528B", "#355F8D", "#2A788E", "#25848E", "#21918C",
    "#22A884", "#2FB47C", "#5EC962", "#7AD151", "#BDDF26", "#FDE725",
)  # fmt: skip
