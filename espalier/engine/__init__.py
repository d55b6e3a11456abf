"""The embedded engine: runs a Pulumi program without the Pulumi CLI, to plan it or to apply it."""
