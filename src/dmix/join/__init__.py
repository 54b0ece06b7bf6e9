"""Joining finished runs of another checkout, a bundle or a DVC repository into this one."""
