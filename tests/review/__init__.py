"""A dune of 5 x 6 tiles that two people review."""

from spurgekit.tiles.review_log import Decision, Opinion

ROWS, COLUMNS, SIDE_PX = 5, 6, 32

WEED, SAND = (Opinion(verdict="accepted", label=label) for label in ("weed", "sand"))
REJECTED, UNSURE, NOTHING = Opinion(verdict="rejected"), Opinion(verdict="unsure"), Opinion()


def tile_id(number):
    """Id of a tile, counted row by row."""
    return f"dune_r{number // COLUMNS:05d}_c{number % COLUMNS:05d}"


def decided(who, number, after, before=NOTHING):
    """A decision on a tile."""
    return Decision(who=who, tile=tile_id(number), before=before, after=after)
