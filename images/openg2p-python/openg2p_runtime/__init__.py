"""What every OpenG2P service of this site shares at start-up.

The published packages carry no entry point of their own. Each service image has a short ``main.py`` per process; what
they have in common, including the work-arounds for faults of the packages, is here, one subject per module:

``mounted``      secrets and connection settings from mounted files, never from the pod's environment
``connections``  database connections that survive a restart of PostgreSQL, HTTP calls that wait long enough
``api``          the HTTP services: health path, no route without a signature
``tasks``        the Celery processes: one worker each, a heartbeat that can be probed, a graceful stop
"""
