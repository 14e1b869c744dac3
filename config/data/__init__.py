"""Data that come with this version: reference lists, and the people and conversations of a LOCAL start."""
