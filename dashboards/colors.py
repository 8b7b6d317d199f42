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

# Twelve steps of viridis, from its dark to its bright end: an order that colour-blind people see as well.
RAMP = (
    "#440154", "#482173", "#433E85", "#38588C", "#2D708E", "#25858E",
    "#1E9B8A", "#2BB07F", "#51C56A", "#85D54A", "#C2DF23", "#FDE725",
)  # fmt: skip
