"""`make demo`: a whole bar on one machine, whose guests pour until somebody ends it.

The servers come first and go last: database, broker, core and admin API, tap nodes. Each is a block that ends what it began,
however the demo ends, so that no process stays behind.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from tapwire_contracts.acl import BrokerRole
from tapwire_core.db.engine import Database
from tapwire_core.db.schema import migrate
from tapwire_core.domain.house import House
from tapwire_demo.bar import AT_THE_COUNTER, AT_THE_TAPS, TAPS, VENUE_ID
from tapwire_demo.broker import Account, EmbeddedBroker, best_broker, open_broker
from tapwire_demo.demo_file import DemoCard, DemoFile, DemoTap, Login, remove_demo_file, write_demo_file
from tapwire_demo.ears import listen
from tapwire_demo.postgres import embedded_postgres
from tapwire_demo.processes import LOOPBACK, free_port
from tapwire_demo.programs import Crew, Program, start_program
from tapwire_demo.screen import Screen
from tapwire_demo.set_up import SetUp, set_up
from tapwire_demo.story import Line, Mood, Story
from tapwire_demo.tap_files import write_tap_files
from tapwire_demo.upkeep import change_low_kegs, fill_purses
