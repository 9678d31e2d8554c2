"""Tapwire's wire format as code: every payload, topic, reason and text, each in one place.

`messages` has the payloads and their topics, `topics` the paths of devices, `reasons` the enums, `denials` their texts, `codec`
encoding and decoding, `card_uid` the one normaliser of card ids, `acl` the broker's rules, `schemas` the documents generated from
all of it, and `logs` the log format of every program.
"""

from typing import Final

CONTRACT_VERSION: Final = "1.0"
"""Version of topics and payloads; node and core need the same number before the dot."""
CONTRACT_MAJOR: Final = CONTRACT_VERSION.partition(".")[0]


def speaks_our_contract(version: str) -> bool:
    """Return True for a version of the contract that is compatible with ours."""
    return version.partition(".")[0] == CONTRACT_MAJOR
