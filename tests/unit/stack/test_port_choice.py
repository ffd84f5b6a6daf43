"""Ports: configured, usual, or any."""

from __future__ import annotations

import socket
from itertools import count

import pytest

from stack.errors import UserError
from stack.ports import choose_ports, free_port, is_free

DEFAULTS = {"kafka": 9092, "valkey": 6379}


def test_an_unset_port_is_the_usual_one() -> None:
    chosen = choose_ports({"kafka": None, "valkey": None}, DEFAULTS, free=lambda port: True)
    assert chosen == DEFAULTS


def test_a_usual_port_that_is_taken_gives_way_to_a_free_one() -> None:
    chosen = choose_ports({"kafka": None}, DEFAULTS, free=lambda port: port != 9092, any_free=lambda: 40000)
    assert chosen == {"kafka": 40000}


def test_zero_asks_for_any_port_even_where_the_usual_one_is_free() -> None:
    assert choose_ports({"kafka": 0}, DEFAULTS, free=lambda port: True, any_free=lambda: 40000) == {
        "kafka": 40000
    }


def test_a_configured_port_that_is_taken_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="Port 19092, configured for kafka, is in use"):
        choose_ports({"kafka": 19092}, DEFAULTS, free=lambda port: False)


def test_one_port_for_two_servers_is_refused() -> None:
    with pytest.raises(UserError, match="Port 19092 is configured for valkey and for another"):
        choose_ports({"kafka": 19092, "valkey": 19092}, DEFAULTS, free=lambda port: True)


def test_no_port_is_given_twice() -> None:
    repeating = (port for number in count(40000) for port in (number, number))
    chosen = choose_ports({"a": 0, "b": 0, "c": 40001}, {}, lambda port: True, lambda: next(repeating))
    assert len(set(chosen.values())) == 3


def test_a_usual_port_that_was_configured_for_another_server_is_left_to_it() -> None:
    chosen = choose_ports({"kafka": None, "valkey": 9092}, DEFAULTS, lambda port: True, lambda: 40000)
    assert chosen == {"valkey": 9092, "kafka": 40000}


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not is_free(listener.getsockname()[1])
    assert is_free(free_port())
