"""Adds declared settings to pydantic models: bodies and answers of the API, and the file of shops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, Field, FiniteFloat, create_model

from shoal.accounts.setting_kinds import Line, Number
from shoal.accounts.shop_settings import Declared
from shoal.language.catalogue import translate
from shoal.language.choice import Language

M = TypeVar("M", bound=BaseModel)


def takes(settings: Mapping[str, Declared], text: Any, *, bounded: bool = False) -> Callable[[type[M]], type[M]]:
    """Add the settings with their defaults to a model of what is sent. ``text``: its type of texts.

    A setting that the model declares itself stays as it is. ``bounded``: the model refuses too long texts, too.
    """
    types = {str: text, float: FiniteFloat}

    def field_of(one: Declared) -> tuple[Any, Any]:
        kind = types.get(one.value_type, one.value_type)
        longest = one.setting.most if bounded and isinstance(one.setting, Line) else None
        field = Field(one.default, max_length=longest, json_schema_extra=_described(one))
        return (kind | None if one.is_optional else kind, field)

    return lambda model: _with(model, {name: field_of(one) for name, one in settings.items()})


def gives(settings: Mapping[str, Declared]) -> Callable[[type[M]], type[M]]:
    """Add the settings to a model of an answer, which always has all of them."""
    return lambda model: _with(model, {name: (one.type, ...) for name, one in settings.items()})


def _with(model: type[M], fields: Mapping[str, Any]) -> type[M]:
    added = {name: field for name, field in fields.items() if name not in model.model_fields}
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, __module__=model.__module__, **added)


def _described(one: Declared) -> Callable[[dict[str, Any]], None]:
    """Return what completes the JSON schema of a setting: words are read only when a schema is made."""

    def complete(schema: dict[str, Any]) -> None:
        hint = translate(f"fields.hint.{one.name}", Language.EN)
        if isinstance(number := one.setting, Number):
            bounds = f"{number.least} to {number.most} {number.unit}".strip()
            hint = f"{hint} {bounds}, or null" if one.is_optional else f"{hint} {bounds}"
        schema["description"] = f"{hint.removesuffix('.')}."
        if isinstance(one.setting, Line):
            schema["maxLength"] = one.setting.most

    return complete
