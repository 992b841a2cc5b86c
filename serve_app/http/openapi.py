"""The API as an OpenAPI document, made of the routes' types (described.py) by openapi-pydantic; and the page that shows it: Swagger UI out
of fastapi-offline's files, so that nothing is asked of another server."""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from openapi_pydantic import (
    Components,
    Info,
    MediaType,
    OpenAPI,
    Operation,
    Parameter,
    PathItem,
    RequestBody,
    Response,
    Schema,
    SecurityScheme,
    Server,
)
from openapi_pydantic.util import PydanticSchema, construct_open_api_with_schema_class
from pydantic import BaseModel, create_model
from starlette.routing import BaseRoute

from serve_app.http.described import FORM, JSON, Described, DescribedRoute, Shape

VERSION = "3.1.1"
ABOUT = """OpenAI's HTTP API over this server's engines. What each field does here, and what is refused: docs/http.md of the project. The
session protocol of /v1/realtime is OpenAI's Realtime API; its events are in docs/clients.md and in the types of the package `openai`."""
PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Sparkvox API</title>
    <link rel="icon" href="{root}/icon.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="{root}/docs/swagger-ui.css" />
    <script src="{root}/docs/swagger-ui-bundle.js" defer></script>
    <script src="{root}/api.js" defer></script>
  </head>
  <body><main id="api" data-document="{root}/openapi.json"></main></body>
</html>
"""
PAGE_POLICY = (
    "default-src 'self'; connect-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
"""Swagger UI writes styles into its elements, and shows what it was sent as blobs."""


def page_files() -> Path:
    """Where the files of Swagger UI are."""
    found = importlib.util.find_spec("fastapi_offline")  # not imported: it would bring FastAPI
    assert found is not None and found.submodule_search_locations, "fastapi-offline is a dependency"
    return Path(found.submodule_search_locations[0]) / "static"


def document(routes: Iterable[BaseRoute], root: str) -> dict[str, Any]:
    """`root`: the path below which the application is. Takes a second the first time: for a worker thread."""
    paths: dict[str, PathItem] = {}
    for route in routes:
        if isinstance(route, DescribedRoute):
            item = paths.setdefault(route.path_format, PathItem())
            for method in sorted(set(route.methods or ()) - {"HEAD"}):
                setattr(item, method.lower(), _operation(route, method))
    keys = {
        "bearer": SecurityScheme(type="http", scheme="bearer", description="Where the server asks for a key."),
        "api_key": SecurityScheme(type="apiKey", name="api-key", security_scheme_in="header"),
    }
    whole = OpenAPI(
        openapi=VERSION,
        info=Info(title="Sparkvox", version=importlib.metadata.version("sparkvox"), description=ABOUT),
        servers=[Server(url=root or "/")],
        paths=paths,
        components=Components(securitySchemes=keys),
    )
    whole = construct_open_api_with_schema_class(whole)
    return dict(whole.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True))


def _operation(route: DescribedRoute, method: str) -> Operation:
    told = route.described
    responses = {str(told.status): Response(description=told.summary, content=_contents(told))}
    wrong = {JSON: _media(told.refusal)}
    responses |= {str(status): Response(description=why, content=wrong) for status, why in sorted(told.refuses.items())}
    return Operation(
        operationId=f"{method.lower()}{route.path_format.translate(_NAME)}",
        summary=told.summary,
        tags=[told.tag],
        parameters=_parameters(route) or None,
        requestBody=_body(told),
        responses=responses,
        security=[] if told.open else [{}, {"bearer": []}, {"api_key": []}],
    )


_NAME = str.maketrans({"/": "_", "{": None, "}": None})


def _contents(told: Described) -> dict[str, MediaType] | None:
    return {media: _media(shape) for media, shape in told.gives.items()} or None


def _media(shape: Shape) -> MediaType:
    if shape is None:
        return MediaType()
    shapes = [_schema(one) for one in (shape if isinstance(shape, tuple) else (shape,))]
    return MediaType(media_type_schema=shapes[0] if len(shapes) == 1 else Schema(anyOf=shapes))


def _schema(shape: type[BaseModel] | str) -> PydanticSchema[Any]:
    return PydanticSchema(schema_class=_imported(shape) if isinstance(shape, str) else shape)


@cache
def _imported(name: str) -> type[BaseModel]:
    """Under a name of its own: openapi-pydantic (0.6) refers to types by their names, and ours have some of them too."""
    module, _, attribute = name.partition(":")
    return create_model(f"OpenAI{attribute}", __base__=getattr(importlib.import_module(module), attribute))


def _parameters(route: DescribedRoute) -> list[Parameter]:
    in_path = [_parameter(name, "path", required=True) for name in route.param_convertors]
    return in_path + [_parameter(name, "query", description=why) for name, why in route.described.query.items()]


def _parameter(name: str, where: str, **more: Any) -> Parameter:
    return Parameter.model_validate({"name": name, "in": where, "schema": {"type": "string"}, **more})


def _body(told: Described) -> RequestBody | None:
    if told.takes is None:
        return None
    return RequestBody(required=True, content={FORM if told.form else JSON: _media(told.takes)})
