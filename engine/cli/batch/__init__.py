"""``e2v batch``: its command, the ways in which it is executed, and its output for people."""
