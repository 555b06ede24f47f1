"""Annotations, how far annotators agree, and what the labels mean."""
