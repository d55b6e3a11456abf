"""The rules, by topic: plain functions over registered resources and the platform's facts."""
