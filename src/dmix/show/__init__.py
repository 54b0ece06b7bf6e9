"""Pictures of what a part does, apart from any table."""
