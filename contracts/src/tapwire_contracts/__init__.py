"""Tapwire's wire format as code: every payload, topic, reason and text, each in one place.

`messages` has the payloads and where each goes, `topics` who a device is, `reasons` the closed sets of words and their texts,
`codec` the way to and from bytes, `card_uid` the one normaliser of card ids, `acl` the broker's rules, `schemas` the documents
generated from all of it, and `logs` how every program of ours writes its log lines.
"""

from typing import Final

CONTRACT_VERSION: Final = "1.0"
"""Version of topics and payloads; node and core refuse to work together when the number before the dot differs."""
CONTRACT_MAJOR: Final = CONTRACT_VERSION.partition(".")[0]


def speaks_our_contract(version: str) -> bool:
    """Return whether this version of the contract is compatible with ours."""
    return version.partition(".")[0] == CONTRACT_MAJOR
