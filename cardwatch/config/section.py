"""What every section of the configuration is, and how a setting is declared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from cardwatch.config.values import expected, is_path

SettingPath = Annotated[Path, BeforeValidator(is_path)]


def setting(
    default: object, description: str, *, unit: str = "", variable: str = "", **limits: Any
) -> Any:
    """Declare a setting; `variable` is the environment variable that overrides the file.

    An `alias` among the `limits` is the key in the file where it cannot be the attribute's name.
    """
    extra = {"x-unit": unit, "x-variable": variable}
    return Field(
        default=default,
        description=description,
        json_schema_extra={name: text for name, text in extra.items() if text},
        **limits,
    )


class Section(BaseModel):
    """A frozen group of settings that refuses names it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_true_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind in (int, float, int | None):
            raise expected("a number")
        return value
