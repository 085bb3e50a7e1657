"""On which side a user is: the same answer that Envoy's hash policy gives."""

from weave_nn.gateway.rollout import BUCKETS, Rollout, share
from weave_nn.shared.errors import Unavailable


def bucket(salt: str, user: str) -> int:
    """The bucket of a user, 0 to 9,999; `salt` spreads every rollout's users anew."""
    try:
        import xxhash  # noqa: PLC0415 - it comes with an extra
    except ImportError as error:
        raise Unavailable(
            "Users are spread over the sides with a library that is not installed.",
            hint="Install the extra: pip install 'weave-nn[gateway]'.",
        ) from error
    return int(xxhash.xxh64_intdigest(salted(salt, user).encode())) % BUCKETS


def salted(salt: str, user: str) -> str:
    """What is hashed, here and in Envoy."""
    return f"{salt}:{user}"


def on_candidate(rollout: Rollout, user: str, override: int | None = None) -> bool:
    """Whether `user` is served by the candidate."""
    return bucket(rollout.salt, user) < share(rollout, override)
