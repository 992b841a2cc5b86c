"""One Spark or two: which nodes there are, what fits into their memory, and what starts and watches them.

Only `serve_app/wiring.py` and the commands import it; deployments are given plain values.
"""
