#!/usr/bin/python3
"""PyZMQ's half of pyzmq_spec.lua: one role in one conversation.

usage: peer.py CONTROL ROLE TYPE bind|connect ENDPOINT COUNT [CREDENTIALS...]

CREDENTIALS are `plain USER PASSWORD` or `curve PUBLIC SECRET OTHERS_PUBLIC`; who
binds is the server, which lets in that user, or that other one, and nobody else.

CONTROL is the address of the spec's PAIR socket: the peer reports on it where
it has bound ("bound ENDPOINT"), that a subscription has come through ("synced"),
that it has done all and found it right ("done"; it leaves at "bye"), or what
was wrong ("error TEXT"). Message i of a flood is the same on both sides, see message().
"""
import sys
import traceback

import zmq
from zmq.auth.thread import ThreadAuthenticator

TIMEOUT_MS = 120000

# What follows the sequence number, by number modulo 256: empty frames, NUL
# bytes, every byte value, 3 to 6 frames in all.
TAILS = []
for k in range(256):
    tail = [b"", b"a\0b" + bytes([k])]
    tail += [bytes([k]) * (k % 50)] * (k % 4)
    TAILS.append(tail)


def message(i):
    return [b"%d" % i] + TAILS[i & 255]


def check(frames, i, prefix=0):
    expected = message(i)
    if frames[prefix:] != expected:
        raise ValueError("message %d: got %r" % (i, frames))


def new_socket(context, kind):
    socket = context.socket(getattr(zmq, kind))
    socket.linger = TIMEOUT_MS
    socket.rcvtimeo = TIMEOUT_MS
    socket.sndtimeo = TIMEOUT_MS
    return socket


def send_flood(socket, control, count, prefix):
    for i in range(1, count + 1):
        socket.send_multipart(prefix + message(i))


def receive_flood(socket, control, count, prefix):
    for i in range(1, count + 1):
        check(socket.recv_multipart(), i, len(prefix))


def publish(socket, control, count, prefix):
    # Subscribers hear nothing until their subscription has come through.
    while not control.poll(5):
        socket.send(b"sync")
    assert control.recv() == b"synced"
    send_flood(socket, control, count, prefix)


def subscribe(socket, control, count, prefix):
    assert socket.recv_multipart() == [b"sync"]
    control.send(b"synced")
    frames = [b"sync"]
    while frames == [b"sync"]:
        frames = socket.recv_multipart()
    check(frames, 1)
    for i in range(2, count + 1):
        check(socket.recv_multipart(), i)


def request(socket, control, count, prefix):
    for i in range(1, count + 1):
        frames = message(i)
        socket.send_multipart(frames)
        if socket.recv_multipart() != frames:
            raise ValueError("reply %d differs" % i)


def reply(socket, control, count, prefix):
    for i in range(1, count + 1):
        frames = socket.recv_multipart()
        check(frames, i)
        socket.send_multipart(frames)


ROLES = {
    "send": send_flood,
    "receive": receive_flood,
    "publish": publish,
    "subscribe": subscribe,
    "request": request,
    "reply": reply,
}


class OneKey:
    def __init__(self, key):
        self.key = key.encode()

    def callback(self, domain, key):
        return key == self.key


def serve(socket, context, mechanism, words):
    auth = ThreadAuthenticator(context)
    auth.start()
    if mechanism == "plain":
        user, password = words
        auth.configure_plain(domain="global", passwords={user: password})
        socket.plain_server = True
    else:
        public, secret, client = words
        auth.configure_curve_callback(domain="global", credentials_provider=OneKey(client))
        socket.curve_publickey = public.encode()
        socket.curve_secretkey = secret.encode()
        socket.curve_server = True
    socket.zap_domain = b"global"
    return auth


def ask(socket, mechanism, words):
    if mechanism == "plain":
        user, password = words
        socket.plain_username = user.encode()
        socket.plain_password = password.encode()
    else:
        public, secret, server = words
        socket.curve_publickey = public.encode()
        socket.curve_secretkey = secret.encode()
        socket.curve_serverkey = server.encode()


def run(control, context, role, kind, how, endpoint, count, mechanism="", *words):
    socket = new_socket(context, kind)
    auth = None
    if mechanism and how == "bind":
        auth = serve(socket, context, mechanism, words)
    elif mechanism:
        ask(socket, mechanism, words)
    prefix = []
    if kind in ("PUB", "SUB"):
        socket.sndhwm = 0
        socket.rcvhwm = 0
    if kind == "SUB":
        socket.subscribe = b""
    if kind == "ROUTER":
        # Else libzmq drops what exceeds the high-water mark.
        socket.router_mandatory = 1
    if kind == "DEALER":
        socket.routing_id = b"peer\0"
    if how == "bind":
        socket.bind(endpoint)
        control.send(b"bound " + socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0"))
    else:
        socket.connect(endpoint)
    if kind == "ROUTER":
        # The other side introduces itself, so that it can be addressed.
        identity, hello = socket.recv_multipart()
        assert hello == b"hello"
        prefix = [identity]
    if kind == "DEALER":
        socket.send(b"hello")
    ROLES[role](socket, control, count, prefix)
    control.send(b"done")
    # What a peer that closes still delivers is another question.
    assert control.recv() == b"bye"
    socket.close()
    if auth:
        auth.stop()


def main():
    control_endpoint, role, kind, how, endpoint, count, *credentials = sys.argv[1:]
    context = zmq.Context()
    control = new_socket(context, "PAIR")
    control.connect(control_endpoint)
    try:
        run(control, context, role, kind, how, endpoint, int(count), *credentials)
    except Exception:
        control.send(b"error " + traceback.format_exc().encode())
    control.close()
    context.term()


main()
