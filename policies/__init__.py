"""Policies: rules over registered resources, judged in-process and by CrossGuard alike."""
