"""The policy pack that `pulumi preview --policy-pack policies` starts: serving begins here and never returns."""

from pulumi_policy import PolicyPack

from espalier.policies import pack

PolicyPack(pack.NAME, policies=pack.policies())
