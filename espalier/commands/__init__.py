"""The command's verbs, one module for what belongs together; `espalier.cli` puts them on the command line."""
