"""Shows that edited code computes what older code did, so that nothing trains again (`dmix accept`)."""
