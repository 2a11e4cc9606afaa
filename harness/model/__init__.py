"""Models: their shapes and families, how their parameters and FLOPs are counted, how they are built and measured."""
