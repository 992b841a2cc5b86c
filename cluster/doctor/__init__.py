"""`sparkvox doctor`: what is wrong with this machine, or with two, why it matters, and the command that mends it.

    facts.py     what is known of one machine: plain data, that goes through JSON unchanged
    edge/        gathers them: files below /proc and /sys, small programs, and trials in processes of their own
    rules/       pure: facts in, a judgement out; one line of a table each
    report.py    the judgements as text or JSON, and the exit code
    over_ray.py  the facts of every node of a running cluster

Most rules come from what was reported of the DGX Spark before March 2026. Sources, as in docs/engines.md: N, NVIDIA's voice and AI
components on the DGX Spark; S, GPU-accelerated speech-to-text there; K, Kokoro on its GPU; Q, Qwen3-ASR; H, its hardware. None of it
was seen on a Spark by this project.
"""
