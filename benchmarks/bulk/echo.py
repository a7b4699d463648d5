"""What a bus costs by itself: a ROUTER that gives back what it gets, run as a program of its own:

python echo.py ENDPOINT
"""

import sys

import zmq


def main(endpoint: str) -> None:
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
    socket.bind(endpoint)
    while True:
        socket.send_multipart(socket.recv_multipart())


if __name__ == "__main__":
    main(*sys.argv[1:])
