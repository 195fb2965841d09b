"""Prints so many loopback ports that nobody listens at, a space between: for engines that cannot choose one themselves.

They lie below those that the system gives to outgoing connections, so none is taken by one before its engine listens there.
"""
import random
import socket
import sys

held = []
while len(held) < int(sys.argv[1]):
    one = socket.socket()
    try:
        one.bind(("127.0.0.1", random.randrange(10000, 32768)))
    except OSError:
        one.close()
    else:
        held.append(one)
print(*(one.getsockname()[1] for one in held))
