"""Properties are given time: a slow machine is no failure, and each test has a timeout anyway."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
