"""Frontiers of several sweeps (arms) compared: do their exponents differ beyond their intervals?"""
