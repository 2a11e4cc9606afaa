"""The names of the styles of figures, which a configuration is checked against without loading matplotlib."""

DEFAULT, PAPER, SLIDES = "default", "paper", "slides"
STYLE_NAMES = (DEFAULT, PAPER, SLIDES)
