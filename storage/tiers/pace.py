"""How long upkeep rests after moving mail, and when there is no time for that (pure).

Moving a pack takes a second or more of a processor, PostgreSQL and S3, however little claim the mover itself has to
them, and meanwhile others wait longer. So the work is done in turns of one pack, with rests between that keep it to
`duty` of the time. That share of others' requests at most meets a turn. Were all of these slow, the 95th percentile of
others would be what their 97th is without (duty 0.02), or their 99th (0.04).
"""

LONGEST_REST_S = 300.0
"""After whatever: a clock that leapt, or an S3 that hung, keeps nothing waiting for longer."""
BY_FAR = 1.25
"""What comes in faster than the paced work moves it adds up until it is so much of what may be hot."""


def rest_s(worked_s: float, duty: float) -> float:
    """How long to rest after that work so that the share of work is `duty`; 0 if the clock went back meanwhile."""
    if not worked_s > 0 or duty >= 1:
        return 0.0
    return min(worked_s * (1 - duty) / duty, LONGEST_REST_S)


def is_pressing(hot_octets: int, may_octets: int) -> bool:
    """Whether so much more is hot than may be that the work goes without rests."""
    return hot_octets > may_octets * BY_FAR
