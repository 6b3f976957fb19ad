"""Floor 3: the users, their sessions and devices, and what is delivered to them.

    frame -- intake -- requests -- the queue
    commit -- registry -- session -- tail -- device (`send_some`) -- batches -- frame

What is written goes down on the first line: a device's intake hands each frame to its route in `bimip.requests`, which
makes operations of it; Hello, with which a connection begins, is served here (`hello`). All messages to one recipient
that arrive together are one operation, in whatever frames they come, and an acknowledgement that is not decided yet
takes in the next. What was committed comes up on the second: the registry tells the sessions concerned, whose tails
keep the newest entries as segments of bytes, and their devices send: each has a window for each partition, and a
`state_position`. `fetcher` is the task that goes on where sending
stopped, and makes the answers that take long. To requests a device is an `Asker`, and knows nothing of what they are.
What outlives all of them has files of its own: `poison` (entries that crash whoever looks at them), `sends` (who has
something to send), `recorder` (what happened to each device of late); `inspection` is what an operator is told, `pins`
who holds back which log, `diagnosis` decides why a device does not receive, and `tracing` follows single messages in
the log.

What devices tell each other and nobody stores goes past the queue: a request hands it to an attendant (`attending`),
which is told who comes and goes, and tells devices. `calls` is one.
"""
