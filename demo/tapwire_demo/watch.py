"""`make watch`: print what goes over the running demo's broker, on machines without `mosquitto_sub` too."""

import asyncio
import os
import sys
from contextlib import suppress
from urllib.parse import urlsplit

import aiomqtt

from tapwire_contracts.topics import ROOT
from tapwire_core.broker.client import Client
from tapwire_demo.demo_file import FOLDER, DemoFile, NoDemo, read_demo_file


async def watch(demo: DemoFile, topic_filter: str) -> None:
    """Print topic and payload of every message, until the broker goes away; raises `aiomqtt.MqttError` then."""
    broker = urlsplit(demo.broker_url)
    async with Client(
        broker.hostname or "",
        broker.port or 1883,
        username=demo.watcher.username,
        password=demo.watcher.password,
        protocol=aiomqtt.ProtocolVersion.V311,  # every broker of ours speaks it
    ) as client:
        await client.subscribe(topic_filter, qos=1)
        async for message in client.messages:
            kept = " (retained)" if message.retain else ""
            print(f"{message.topic}{kept} {bytes(message.payload).decode(errors='replace')}", flush=True)


def main() -> None:
    """`python -m tapwire_demo.watch [TOPIC_FILTER]`, in the checkout."""
    topic_filter = sys.argv[1] if len(sys.argv) > 1 else f"{ROOT}/#"
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(watch(read_demo_file(FOLDER), topic_filter))
    except BrokenPipeError:
        # whoever read it has gone; without this Python fails again when it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (NoDemo, aiomqtt.MqttError) as error:
        sys.exit(f"make watch: {error}")


if __name__ == "__main__":
    main()
