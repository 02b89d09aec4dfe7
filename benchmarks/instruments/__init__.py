"""Measuring instruments: the machine, time in turns, whole processes, operators, bare products."""
