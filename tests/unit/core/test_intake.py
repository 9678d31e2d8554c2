"""The queue of received messages is bounded, and no device makes another wait behind it."""

import asyncio

import pytest

from tapwire_core.mqtt.intake import MAX_IN_PROGRESS_PER_DEVICE, MAX_QUEUED_PER_DEVICE, Intake


async def test_a_device_that_floods_takes_turns_with_the_others() -> None:
    intake = Intake[int]()
    for number in range(100):
        intake.put("flooder", number)
    intake.put("quiet", 0)

    taken = [await intake.take() for _ in range(3)]

    assert ("quiet", 0) in taken


async def test_few_messages_of_one_device_are_in_hand_at_a_time() -> None:
    intake = Intake[int]()
    for number in range(MAX_IN_PROGRESS_PER_DEVICE + 1):
        intake.put("tap", number)
    for number in range(MAX_IN_PROGRESS_PER_DEVICE):
        assert await intake.take() == ("tap", number)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(intake.take(), 0.05)
    intake.done("tap")

    assert await intake.take() == ("tap", MAX_IN_PROGRESS_PER_DEVICE)


async def test_what_a_full_queue_has_no_room_for_is_dropped_and_there_is_room_again_later() -> None:
    intake = Intake[int]()
    assert all(intake.put("tap", number) for number in range(MAX_QUEUED_PER_DEVICE))

    assert not intake.put("tap", -1)
    await intake.take()

    assert intake.put("tap", MAX_QUEUED_PER_DEVICE)
    assert intake.put("another", 0)


async def test_messages_of_one_device_keep_their_order() -> None:
    intake = Intake[int]()
    for number in range(50):
        intake.put("tap", number)

    taken = []
    for _ in range(50):
        device, number = await intake.take()
        taken.append(number)
        intake.done(device)

    assert taken == list(range(50))
