"""YAML that remembers on which line everything stands, so that an error can say where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from jobs.lake.errors import DefinitionError

Path = tuple[str | int, ...]
MOST_VALUES, DEEPEST = 20_000, 20  # more than any definition needs; aliases of aliases grow beyond every bound
TOO_DEEP = "lies too deep within lists and mappings; write it flat, as docs/funnels.md does"


@dataclass
class MarkedYaml:
    """Plain values, and the line (from 1) of every value and key by its path."""

    source: str
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)

    def refuse(self, path: Path, message: str) -> DefinitionError:
        """The error for the value at `path`: file, line, key, message with its remedy."""
        known = path
        while known not in self.lines:
            known = known[:-1]
        place = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        return DefinitionError(f"{self.source}:{self.lines[known]}: {place + ': ' if place else ''}{message}")


def read_marked(text: str, source: str) -> MarkedYaml:
    """Parse one YAML document; a DefinitionError names the line where it stops being YAML."""
    marked = MarkedYaml(source, lines={(): 1})
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError as bad:
        raise DefinitionError(f"{source}:1: is no definition: {TOO_DEEP}") from bad
    except yaml.reader.ReaderError as bad:
        line = text.count("\n", 0, bad.position) + 1
        raise DefinitionError(f"{source}:{line}: is no YAML: {bad.reason} ({bad.character!r}); remove it") from bad
    except yaml.YAMLError as bad:
        mark = getattr(bad, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(bad, "problem", None) or "cannot be read"
        raise DefinitionError(f"{source}:{line}: is no YAML: {problem}; see docs/funnels.md") from bad
    if node is not None:
        marked.value = _plain(node, (), marked)
    return marked


def _plain(node: yaml.Node, path: Path, marked: MarkedYaml) -> Any:
    """The value of a node; its line is kept under its path."""
    marked.lines[path] = node.start_mark.line + 1
    if len(path) > DEEPEST:
        raise marked.refuse(path[:1], TOO_DEEP)
    if len(marked.lines) > MOST_VALUES:
        raise marked.refuse(path[:1], f"makes more than {MOST_VALUES:,} values; write out what its aliases repeat")
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, marked)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, index), marked) for index, item in enumerate(node.value)]
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError) as bad:  # what a wrong !!tag gives
        raise marked.refuse(path, "is no plain YAML value; put it in quotes") from bad


def _mapping(node: yaml.MappingNode, path: Path, marked: MarkedYaml) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise marked.refuse(path, "has a key that is no word; write key: value")
        key = str(key_node.value)
        marked.lines[*path, key] = key_node.start_mark.line + 1
        if key in values:
            raise marked.refuse((*path, key), "stands there twice; keep one")
        values[key] = _plain(value_node, (*path, key), marked)
        marked.lines[*path, key] = key_node.start_mark.line + 1
    return values
