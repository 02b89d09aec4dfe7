"""Sources of live audio: a pipe, a microphone, a server, a file that grows."""
