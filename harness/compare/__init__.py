"""Frontiers of several sweeps (arms) set side by side: do their exponents differ beyond their intervals?"""
