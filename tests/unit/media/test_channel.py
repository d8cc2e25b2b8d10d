"""The queue between threads: order, bound, and the way out when a thread has failed."""

from __future__ import annotations

import threading

import pytest

from processors.media.channel import Channel, Stopped


def test_items_come_in_order_until_the_end() -> None:
    channel: Channel[int] = Channel(4, threading.Event())
    for item in (1, 2, None):
        channel.put(item)
    assert list(channel) == [1, 2]


def test_a_full_channel_lets_go_of_its_sender_when_stopped() -> None:
    stop = threading.Event()
    channel: Channel[int] = Channel(1, stop)
    channel.put(1)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Stopped):
        channel.put(2)


def test_an_empty_channel_lets_go_of_its_receiver_when_stopped() -> None:
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Stopped):
        list(Channel[int](1, stop))
