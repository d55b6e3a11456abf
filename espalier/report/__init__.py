"""Documents and views: what commands say, as types, tables and pages."""
