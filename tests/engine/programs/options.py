"""Every resource option, on custom resources and on nested components; secrets, unknowns, numbers, names left out."""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi import Alias, CustomTimeouts, Output, ResourceOptions

VERSION = ResourceOptions(version="4.34.2")


class Object(pulumi.CustomResource):
    metadata: Output[dict[str, Any]]
    data: Output[dict[str, Any]]

    def __init__(
        self, name: str, data: Any = None, opts: ResourceOptions | None = None, kind: str = "core/v1:ConfigMap"
    ) -> None:
        api, plain = kind.removeprefix("core/").split(":")
        inputs = {"apiVersion": api, "kind": plain, "data": data, "metadata": {"name": name, "namespace": "default"}}
        if name.startswith("nameless") and data == {}:
            del inputs["metadata"]
        merged = ResourceOptions.merge(VERSION, opts or ResourceOptions())
        super().__init__(f"kubernetes:{kind}", name, {"metadata": None, "data": None} | inputs, merged)


class Group(pulumi.ComponentResource):
    def __init__(self, name: str, opts: ResourceOptions) -> None:
        super().__init__("trial:index:Group", name, {"given": name}, opts)


def provider(name: str, **inputs: Any) -> pulumi.ProviderResource:
    return pulumi.ProviderResource("kubernetes", name, inputs, VERSION)


main = provider("main", context="a", kubeconfig=Output.secret("k"))
other = provider("other", context="b")
at = ResourceOptions(provider=main)


def options(**more: Any) -> ResourceOptions:
    return ResourceOptions(provider=main, **more)


# A chain of parents, with options that are and are not inherited, overridden half-way down.
first = Object("first", {"a": "1"}, at)
outer = Group(
    "outer",
    ResourceOptions(
        providers=[main], protect=True, retain_on_delete=True, deleted_with=first, aliases=[Alias(name="outer-before")]
    ),
)
sibling = Group("sibling", ResourceOptions(provider=main, depends_on=[first]))
below_sibling = Object("below-sibling", {"a": "1"}, ResourceOptions(parent=sibling))
middle = Group("middle", ResourceOptions(parent=outer, aliases=[Alias(name="middle-before")]))
inner = Group("inner", ResourceOptions(parent=middle, provider=other, protect=False, retain_on_delete=False))
deep = Object(
    "deep",
    {"uid": first.metadata["uid"], "known": first.data["a"]},
    ResourceOptions(
        parent=middle, aliases=[Alias(name="deep-before"), "urn:pulumi:trial::trial::kubernetes:core/v1:ConfigMap::old"]
    ),
)
deepest = Object("deepest", {"a": "1"}, ResourceOptions(parent=inner, depends_on=[deep, sibling]))
Object("below-object", {"a": "1"}, ResourceOptions(parent=deepest))
inner.register_outputs({"uid": deepest.metadata["uid"]})
middle.register_outputs({})
outer.register_outputs({"secret": Output.secret("out")})

# Options one by one, and all together.
Object("protect", {"a": "1"}, options(protect=True))
Object("retain", {"a": "1"}, options(retain_on_delete=True))
Object("ignore", {"a": "1"}, options(ignore_changes=["data.a", 'data["b.c"]', "metadata.labels"]))
Object("replace-on", {"a": "1"}, options(replace_on_changes=["data.a"]))
Object("replace-with", {"a": "1"}, options(replace_with=[first]))
Object("trigger", {"a": "1"}, options(replacement_trigger="go"))
Object("delete-first", {"a": "1"}, options(delete_before_replace=True))
Object("delete-last", {"a": "1"}, options(delete_before_replace=False))
Object("with", {"a": "1"}, options(deleted_with=first))
Object("timeouts", {"a": "1"}, options(custom_timeouts=CustomTimeouts(create="5m", update="10s", delete="1h")))
Object("hidden", {"a": "1"}, options(additional_secret_outputs=["data"], hide_diffs=["data"]))
Object(
    "aliases",
    {"a": "1"},
    options(
        aliases=[
            Alias(parent=outer),
            Alias(name="n", parent=None),
            Alias(type_="kubernetes:core/v1:Secret"),
            Alias(stack="was", project="before"),
        ]
    ),
)
Object(
    "everything",
    {"a": "1", "b": "2"},
    options(
        additional_secret_outputs=["data"],
        aliases=[Alias(name="everything-before")],
        custom_timeouts=CustomTimeouts(create="1m"),
        delete_before_replace=True,
        deleted_with=first,
        depends_on=[first, sibling],
        ignore_changes=["data.a"],
        protect=True,
        replace_on_changes=["data.b"],
        retain_on_delete=True,
    ),
)

# Values.
hidden = Object("hidden-values", {"password": Output.secret("canary"), "plain": "p"}, at, kind="core/v1:Secret")
values = Object(
    "values",
    {
        "secret": Output.secret("canary"),
        "half": Output.concat("a-", Output.secret("canary")),
        "nested": [1, {"deep": Output.secret({"deeper": "canary"})}, None],
        "numbers": [0, -1, 3, 1.5, 2**53, 2**60],
        "others": [True, False, "", [], {}],
        "nothing": None,
        "text": "naïve → ☃ \n\t",
    },
    options(depends_on=[hidden]),
)
nameless = Object("nameless", {}, at)
Object("nameless-reader", {"name": nameless.metadata["name"]}, at)
Object("by-default", {"a": "1"})
Object("own-kind", {"deep": [{"uid": first.metadata["uid"]}]}, at, kind="example.com/v1:Thing")

pulumi.export("uid", first.metadata["uid"])
pulumi.export("secret", Output.secret("canary"))
pulumi.export("mixed", {"list": [1, None, "text"], "secret": values.data["secret"]})
