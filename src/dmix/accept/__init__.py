"""Proves that edited code changes no number, so that nothing trains again (`dmix accept`)."""
