"""What request bodies have in common: strict types, with an example each. Values are not converted.

Unknown fields are refused.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, SecretStr

from shoal.language.storable_texts import UNSTORABLE

MAX_BATCH = 5_000


def _storable(text: str) -> str:
    if UNSTORABLE.search(text):
        raise ValueError("a text holds no NUL character and no half of a surrogate pair")
    return text


def _storable_secret(secret: SecretStr) -> SecretStr:
    _storable(secret.get_secret_value())
    return secret


Text = Annotated[str, AfterValidator(_storable)]
Secret = Annotated[SecretStr, AfterValidator(_storable_secret)]


def body_example(**body: Any) -> ConfigDict:
    """Return the configuration of a body, with an example."""
    return ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [body]}, hide_input_in_errors=True)
