"""The demo's story: each thing is told once, however often it is said, and nothing that comes over the broker stops it."""

from uuid import UUID

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import CardPresented, Message, PourAuthorized, PourDenied, PourProgress, PourSettled
from tapwire_contracts.reasons import DenyReason, Outcome, VerdictReason, VerdictStatus
from tapwire_contracts.topics import DevicePath
from tapwire_core.services.answers import INSUFFICIENT_FUNDS_MESSAGE
from tapwire_demo.story import Line, Mood, Story
