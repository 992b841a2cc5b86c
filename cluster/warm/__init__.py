"""`sparkvox warm`: what the engines compile on this machine is compiled and kept before anybody waits for it.

    command.py   the command: one engine after the other, each in a process of its own, outside Ray and Serve
    one.py       that process: loads one engine, has it produce output once, says how long that took
    watching.py  how far it is, while it works

The folders that it fills are serve_app/kernel_caches.py's.
"""
