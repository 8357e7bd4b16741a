"""The load generator: scheduled arrivals, as a client saw them.

Run it with ``python -m loadgen --config FILE``. Importing this package does nothing: Locust
(which patches the standard library for gevent) is imported by the process's entry point alone,
so the pure parts (`schedule`, `backlog`, `dice`, `load`, `ledger`, `metrics`) can be used anywhere.
"""
