"""The device itself, sans-IO: frames in, frames out, decided in one transaction of the store each and without an await.

device.py     what each frame means; `link.py` carries the frames
inbox.py      positions seen and taken, the queue of events, acks
outbox.py     messages on their way out, in order, until each has its answer
copies.py     whether the copies of the logs are whole; chain.py: their chain, as PROTOCOL.md has it
requests.py   questions and their answers, by ref
state.py      the copy of the user's state: how its pages join, for every kind of state alike
kinds/        what each kind of state says of itself: a file each, and a row in `CLIENT_KINDS`
"""
