"""Who may use the bus by TCP: keys of CURVE (curvezmq.org), the list of those that are allowed, and what each may do.

text.py       a key as text
pair.py       files and variables that hold a secret: a client's key, the server's
rights.py     what a right permits
allow_list.py the file that says which key has which rights
zap.py        libzmq asks whether a key may come in (rfc.zeromq.org/spec/27)
door.py       the connections by TCP: who is who, and their end
keyring.py    the agent's side of all that
"""
