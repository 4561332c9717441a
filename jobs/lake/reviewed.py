"""Requests that people review before they are done (`infra/patches`, `infra/backfills`): YAML that fits a model."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from jobs.lake.errors import UsageError

Model = TypeVar("Model", bound=BaseModel)


def read_reviewed(model: type[Model], file: Path, remedy: str) -> Model:
    """What a file that is there asks for; UsageError names the file, the place in it and the remedy."""
    try:
        return model.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except yaml.YAMLError as wrong:
        raise UsageError(f"{file}: is no YAML: {str(wrong).splitlines()[0]}; {remedy}") from wrong
    except ValidationError as wrong:
        first = wrong.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{file}: {place}: {first['msg']}; {remedy}") from wrong
