"""How the queue is worked off: attempts, expiry, how much at once."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Every limit and wait of the queue's worker. Concurrency is one process's."""

    expire_after_s: float = field(default=432_000.0, metadata={"least": 0.1})
    """how long a recipient is tried before the sender gets the message back (RFC 5321 §4.5.4.1: 4 to 5 days)"""
    tell_delay_after_s: float = field(default=14_400.0, metadata={"least": 0.1})
    """after this long the sender is told, once, that the message still waits"""
    first_retry_s: float = field(default=60.0, metadata={"least": 0.01})
    """how long after the first attempt the second comes; the later waits keep their proportion to it"""
    lease_s: float = field(default=120.0, metadata={"least": 1.0})
    """how long a process has mail to itself without saying that it still lives; what it had is then tried by others"""
    look_every_s: float = field(default=1.0, metadata={"least": 0.05})  # how often new mail is looked for without hints
    exchanges_limit: int = field(default=200, metadata={"least": 1})  # conversations at once, all sites together
    site_exchanges_start: int = field(default=5, metadata={"least": 1})  # at once for a site nothing is known of
    site_exchanges_limit: int = field(default=20, metadata={"least": 1})  # at once for a site that takes it all
    leased_limit: int = field(default=4_000, metadata={"least": 10})  # recipients in memory
    content_cache_octets: int = 33_554_432  # opened messages kept for their other recipients
    rest_s: float = field(default=60.0, metadata={"least": 0.05})
    """how long a site that does not answer is left alone at first; the rest doubles"""
    longest_rest_s: float = field(default=900.0, metadata={"least": 0.05})  # and grows to this
    report_wait_s: float = 1.0  # recipients of a message that fail within this time share a report
    count_every_s: float = field(default=30.0, metadata={"least": 0.05})
    """how often the queue is counted for the metrics, and tenants whose mail is held are looked at"""
    smarthost_cached_s: float = 30.0  # how old may be what is known of a tenant's smarthost and status
    events_kept_days: int = field(default=30, metadata={"least": 1})  # how long the trace of mail is kept
