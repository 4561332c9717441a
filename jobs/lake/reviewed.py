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
    except ValidationError as wrong:
        first = wrong.errors()[0]
        place = ".".join(map(str, first["loc"]))
        told = f"{place}: {first['msg']}" if place else "has no fields; write `name: …` and the rest, one a line"
        raise UsageError(f"{file}: {told}; {remedy}") from wrong
    except (yaml.YAMLError, ValueError) as wrong:  # bytes that are no UTF-8, a day that no calendar has
        mark = getattr(wrong, "problem_mark", None)
        line = f" on line {mark.line + 1}" if mark else ""
        problem = getattr(wrong, "problem", None) or str(wrong).splitlines()[0]
        raise UsageError(f"{file}: is no YAML: {problem}{line}; {remedy}") from wrong
