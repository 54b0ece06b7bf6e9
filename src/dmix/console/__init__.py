"""What `dmix status` shows: an overview of a tier's runs, as a live view on a terminal or as plain lines."""
