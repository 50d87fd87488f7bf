"""What AWS's SDKs for other languages need for the same records; only where they are asked for."""
