"""The small data that ship with dmix, written in the genuine formats."""
