"""Prints so many loopback ports that nobody listens at, a space between: for engines that cannot choose one themselves."""
import socket
import sys

held = []
for _ in range(int(sys.argv[1])):
    held.append(socket.socket())
    held[-1].bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))
