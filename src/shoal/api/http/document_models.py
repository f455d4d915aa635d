"""Imports FastAPI, and leaves the models of the OpenAPI document unfinished until the document is asked for.

To make their validators takes a third of FastAPI's import, and nothing but the document uses them.
"""

from __future__ import annotations

from pydantic import BaseModel

BaseModel.model_config["defer_build"] = True  # what a model's class inherits while it is made
try:
    import fastapi  # noqa: F401  all of it: its parts import one another
finally:
    del BaseModel.model_config["defer_build"]
