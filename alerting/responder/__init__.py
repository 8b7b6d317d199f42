"""The responder: Alertmanager's webhooks in; tickets, retrainings and rollbacks out, each once and for a reason.

    webhook -> delivery -> plan -> actions -> decision -> target

A delivery is durable before it is acknowledged. `plan` and `decide` are pure: what is to be done, and whether now. Only
`server` (in), `targets` and `evidence` (out) and `store` (the embedded database) touch the world.
"""
