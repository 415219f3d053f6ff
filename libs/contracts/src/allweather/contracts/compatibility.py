"""Whether a changed schema can still read what was written under the old one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

Schema = dict[str, Any]
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def backward_faults(old: Schema, new: Schema) -> list[str]:
    """Why a reader of `new` could reject what was valid under `old`; empty when it cannot.

    Knows the keywords that our models produce: references, types, unions, enumerations, patterns, arrays, tuples,
    required properties, bounds, and defaults, which are not written and so mean what the reader takes them for.
    """
    return list(_Comparison(old, new).faults(old, new, "$", frozenset()))


@dataclass(frozen=True, slots=True)
class _Comparison:
    old_root: Schema
    new_root: Schema

    def faults(self, old: Schema, new: Schema, path: str, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
        pair = (old.get("$ref", ""), new.get("$ref", ""))
        if all(pair) and pair in seen:
            return
        seen |= {pair}
        old, new = _resolved(old, self.old_root), _resolved(new, self.new_root)
        if "anyOf" in old or "anyOf" in new:
            yield from self._union_faults(old, new, path, seen)
            return
        yield from _value_faults(old, new, path)
        yield from self._member_faults(old, new, path, seen)

    def _union_faults(self, old: Schema, new: Schema, path: str, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
        """Every alternative of the old union must be readable by one of the new."""
        choices = new.get("anyOf", [new])
        for alternative in old.get("anyOf", [old]):
            found = [list(self.faults(alternative, choice, path, seen)) for choice in choices]
            if all(found):
                yield min(found, key=len)[0]

    def _member_faults(self, old: Schema, new: Schema, path: str, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
        was, now = old.get("properties", {}), new.get("properties", {})
        for name in was.keys() & now.keys():
            yield from _default_faults(was[name], now[name], f"{path}.{name}")
            yield from self.faults(was[name], now[name], f"{path}.{name}", seen)
        for name in sorted(set(new.get("required", [])) - set(old.get("required", []))):
            yield f"{path}.{name}: is required now"
        yield from self._item_faults(old, new, path, seen)

    def _item_faults(self, old: Schema, new: Schema, path: str, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
        if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):  # else there are no others
            yield from self.faults(old["items"], new["items"], f"{path}[]", seen)
        for i, (was, now) in enumerate(zip(old.get("prefixItems", []), new.get("prefixItems", []), strict=False)):
            yield from self.faults(was, now, f"{path}[{i}]", seen)


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        schema = root["$defs"][cast(str, schema["$ref"]).rsplit("/", 1)[1]]
    return schema


def _value_faults(old: Schema, new: Schema, path: str) -> Iterator[str]:
    if "type" in new and not _type_accepts(new["type"], old.get("type")):
        yield f"{path}: was {old.get('type', 'anything')}, is {new['type']} now"
    gone = [v for v in _allowed(old) or [] if v not in (_allowed(new) or [v])]
    if gone or (_allowed(new) and not _allowed(old)):
        yield f"{path}: no longer accepts {gone or 'every value'}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{path}: has another pattern now"
    for bound in _LOWER_BOUNDS:
        if bound in new and new[bound] > old.get(bound, float("-inf")):
            yield f"{path}: {bound} was raised"
    for bound in _UPPER_BOUNDS:
        if bound in new and new[bound] < old.get(bound, float("inf")):
            yield f"{path}: {bound} was lowered"


def _default_faults(old: Schema, new: Schema, path: str) -> Iterator[str]:
    before, after = old.get("default"), new.get("default")
    if before != after and not isinstance(before, dict):  # the parts of an object have defaults of their own
        yield f"{path}: what is not there was {before!r}, is {after!r} now"


def _type_accepts(new: str, old: str | None) -> bool:
    return new == old or (new == "number" and old == "integer")


def _allowed(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")
