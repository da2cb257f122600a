"""Imported once, by the process that workers are forked from."""

from tests.stream.workers import warm_up

warm_up()
